"""miniflare's text: recognised, patched, given back."""

from pathlib import Path

import pytest
import yaml

from pyodide_offline.workers import miniflare
from pyodide_offline.workers.miniflare import State

ROOT = Path(__file__).resolve().parents[3]
HOW = miniflare.recipe(yaml.safe_load((ROOT / "patches" / "miniflare.yaml").read_text("utf-8")))
FOLDER = "/tmp/a cache"
OTHER = """\
const other = [
  "--experimental",
];
"""
ORIGINAL = (
    OTHER
    + """\
function getRuntimeArgs(options) {
  // an array [ in a comment, "one in a text [", and this one's:
  const args = [
    "serve",
    "--binary",
    "--experimental",
    `--socket-addr=${SOCKET_ENTRY}=${options.entryAddress}`,
    "-"
  ];
  if (options.verbose) {
    args.push("--verbose");
  }
  return args;
}
module.exports = { getRuntimeArgs };
"""
)
PATCHED = miniflare.apply(ORIGINAL, HOW, FOLDER)
LINES = PATCHED.split("\n")
BEGIN = next(n for n, line in enumerate(LINES) if "patch begins" in line)
END = next(n for n, line in enumerate(LINES) if "patch ends" in line)


def recognise(text: str) -> miniflare.Finding:
    return miniflare.recognise(text, HOW)


def test_an_original_is_recognised() -> None:
    finding = recognise(ORIGINAL)
    assert (finding.state, finding.stripped, finding.proven) == (State.ORIGINAL, ORIGINAL, True)


def test_our_lines_come_after_the_element_in_the_function() -> None:
    assert LINES[BEGIN - 1] == '    "--experimental",'
    assert LINES[BEGIN - 2] == '    "--binary",'
    assert LINES[END + 1].startswith("    `--socket-addr")
    assert all(line.startswith("    ") for line in LINES[BEGIN : END + 1])
    assert f'"{FOLDER}"' in PATCHED


def test_a_patched_text_says_for_which_folder_and_gives_every_byte_back() -> None:
    finding = recognise(PATCHED)
    assert (finding.state, finding.cache_dir) == (State.PATCHED, FOLDER)
    assert (finding.stripped, finding.proven) == (ORIGINAL, True)


@pytest.mark.parametrize(
    "folder", ['/a "b" \\ c', "/größe/\u2028x", "C:\\cache\\n", "/it's `x`${y}"]
)
def test_any_folder_can_be_named(folder: str) -> None:
    finding = recognise(miniflare.apply(ORIGINAL, HOW, folder))
    assert (finding.state, finding.cache_dir, finding.proven) == (State.PATCHED, folder, True)


def test_a_folder_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        miniflare.apply(ORIGINAL, HOW, "/\udcff")


@pytest.mark.parametrize(
    "text",
    [
        ORIGINAL.replace("\n", "\r\n"),
        ORIGINAL.rstrip("\n"),
        "\ufeff" + ORIGINAL + "\n\n",
        ORIGINAL.replace("const other", "const f = '\x0c\x0b\u2028'; const other"),
        "var init = __esm({\n" + "\n".join("  " + line for line in ORIGINAL.split("\n")) + "});",
    ],
    ids=["crlf", "no last newline", "mark and blank lines", "odd line ends", "indented"],
)
def test_whatever_the_text_is_like_it_comes_back(text: str) -> None:
    patched = miniflare.apply(text, HOW, FOLDER)
    assert patched != text
    assert patched.count("\r\n") in (0, patched.count("\n"))
    finding = recognise(patched)
    assert (finding.state, finding.stripped, finding.proven) == (State.PATCHED, text, True)


def test_patching_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="patched"):
        miniflare.apply(PATCHED, HOW, FOLDER)


def broken() -> dict[str, str]:
    block = LINES[BEGIN : END + 1]
    without = [*LINES[:BEGIN], *LINES[END + 1 :]]

    def at(lines: list[str]) -> str:
        return "\n".join([*without[:BEGIN], *lines, *without[BEGIN:]])

    return {
        "twice": at(block + block),
        "three times": at(block * 3),
        "one in the other": at([*block[:4], *block, *block[4:]]),
        "only its head": at(block[:1]),
        "its first half": at(block[:5]),
        "no end": at(block[:-1]),
        "a hole": at(block[:3] + block[6:]),
        "a stray head above": "\n".join(
            [*LINES[: BEGIN - 3], block[0], *LINES[BEGIN - 3 :]],
        ),
        "of another release": at([block[0], "    ...oldFlags(),", block[-1]]),
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_half_applied_is_known_and_every_byte_comes_back(name: str) -> None:
    finding = recognise(broken()[name])
    assert finding.state is State.HALF
    assert (finding.stripped, finding.proven) == (ORIGINAL, True)
    assert finding.reason
    assert any("patch begins" in line for line in finding.seen)


def test_without_the_digest_nothing_is_proven() -> None:
    text = "\n".join([*LINES[:BEGIN], *LINES[BEGIN + 1 :]])
    finding = recognise(text)
    assert (finding.state, finding.proven, finding.claimed) == (State.HALF, False, ())
    assert finding.stripped == ORIGINAL


def test_a_file_changed_after_it_was_patched_keeps_that_change() -> None:
    finding = recognise(PATCHED.replace("module.exports", "/* mine */ module.exports"))
    assert (finding.state, finding.proven) == (State.PATCHED, False)
    assert finding.stripped == ORIGINAL.replace("module.exports", "/* mine */ module.exports")


def test_a_patched_file_that_was_cut_is_half_and_not_proven() -> None:
    finding = recognise("\n".join(LINES[: END + 2]))
    assert (finding.state, finding.proven) == (State.HALF, False)
    assert len(finding.claimed) == 1


def test_flags_by_someone_else_are_foreign_and_shown() -> None:
    hand = '    "--pyodide-bundle-disk-cache-dir=/x",'
    text = ORIGINAL.replace('    "--binary",', f'    "--binary",\n{hand}')
    finding = recognise(text)
    assert finding.state is State.FOREIGN
    number = text.split("\n").index(hand) + 1
    assert finding.seen == (f"{number}: {hand}",)
    pushed = ORIGINAL + "args.push(`--pyodide-package-disk-cache-dir=${x}`);\n"
    assert recognise(pushed).state is State.FOREIGN


@pytest.mark.parametrize(
    ("old", "new", "reason", "shown"),
    [
        ("function getRuntimeArgs(options) {", "function args(options) {", "0 times", "-experim"),
        ("(options) {", "(options, more) {", "0 times", "getRuntimeArgs(options, more)"),
        ('    "--binary",\n    "--experimental",', '    "--binary",', "0 times", "getRuntimeArgs"),
        ('    "--binary",', '    "--experimental",', "2 times", '"--experimental",'),
        ("const args = [", "const args = list(", "not in an array", "getRuntimeArgs"),
        ("  const args = [", "  [], [1]; const args = {a: [2], b:", "not in an array", "getRu"),
        ("\n}\n", "\n", "no end", "getRuntimeArgs"),
        ("module.", "function getRuntimeArgs(options) {\n}\nmodule.", "2 times", "getRuntimeArgs"),
    ],
)
def test_another_shape_is_unknown_and_what_was_seen_is_shown(
    old: str, new: str, reason: str, shown: str
) -> None:
    text = ORIGINAL.replace(old, new)
    assert text != ORIGINAL
    finding = recognise(text)
    assert finding.state is State.UNKNOWN
    assert reason in finding.reason
    assert any(shown in line for line in finding.seen)
    assert all(len(line) < 130 for line in finding.seen)


def test_a_diff_is_one_hunk_with_three_lines_around() -> None:
    text = miniflare.diff(ORIGINAL, PATCHED, "/x/index.js")
    lines = text.split("\n")
    assert lines[:2] == ["--- a/x/index.js", "+++ b/x/index.js"]
    added = END - BEGIN + 1
    assert lines[2] == f"@@ -{BEGIN - 2},6 +{BEGIN - 2},{6 + added} @@"
    assert [line[0] for line in lines[3:-1]] == [*"   ", *("+" * added), *"   "]
    assert miniflare.diff(ORIGINAL, ORIGINAL, "x") == ""


def test_a_diff_counts_what_is_taken_out() -> None:
    text = miniflare.diff("a\nb\nc\nd\ne\nf", "a\nb\nX\nY\ne\nf", "x")
    assert "@@ -1,6 +1,6 @@\n a\n b\n-c\n-d\n+X\n+Y\n e\n f\n" in text
