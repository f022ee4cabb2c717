"""Variables read back by the real readers, whatever stands in them."""

import io
import json
import shutil
import subprocess

import pytest

from pyodide_offline.cli import shells

HARD = {
    "PLAIN": "/usr/bin:/a-b/c_d",
    "BLANKS": " a path with blanks ",
    "QUOTES": 'it\'s "quoted" `here`',
    "DOLLAR": "$HOME ${X} $(id) %PATH%",
    "BACK": "a\\b\\\\c\\'d\\n",
    "MARKS": "#no comment; & | < > * ? ~ ! =",
    "LETTERS": "grüße \u2018so\u2019 日本",
    "LINES": "one\ntwo\n\nEND",
    "EMPTY": "",
}


def read_back(command, script):
    show = "import json,os;print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [*command, f'{script}\npython3 -c "{show}"\n'],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "LC_ALL": "C.UTF-8"},
    )
    seen = json.loads(done.stdout)
    return {name: seen.get(name) for name in HARD}


@pytest.mark.parametrize(
    ("shell", "command"),
    [
        ("sh", ["sh", "-euc"]),
        ("sh", ["bash", "-euc"]),
        ("fish", ["fish", "--no-config", "-c"]),
    ],
)
def test_a_shell_reads_back_each_value(shell, command):
    program = shutil.which(command[0])
    assert program, f"the tests install {command[0]} (scripts/test.py)"
    told, unfit = shells.lines(HARD, shell)
    assert unfit == []
    assert read_back(command, "\n".join(told)) == HARD


def test_fish_takes_path_apart():
    told, _ = shells.lines({"PATH": "/a b:/usr/bin:/bin"}, "fish")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{told[0]}; string join -- '|' $PATH"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "/a b|/usr/bin|/bin\n"


def test_powershell_doubles_every_quote_that_it_takes_for_one():
    typographic = "\u2018\u2019\u201a\u201b"
    told, unfit = shells.lines({"A": f"it's {typographic} $x `n"}, "powershell")
    doubled = "".join(quote * 2 for quote in typographic)
    assert (told, unfit) == ([f"$env:A = 'it''s {doubled} $x `n'"], [])


def test_github_reads_back_each_value():
    told, unfit = shells.lines(HARD, "github")
    assert unfit == []
    # Read as the runner does: a name, then = or <<, whichever stands first.
    reader, seen = io.StringIO("\n".join(told) + "\n"), {}
    while line := reader.readline().removesuffix("\n"):
        name, value = line.split("=", 1) if "<<" not in line.split("=")[0] else (line, None)
        if value is None:
            name, end = line.split("<<")
            value = "\n".join(iter(lambda: reader.readline().removesuffix("\n"), end))
        seen[name] = value
    assert seen == HARD


def test_gitlab_knows_neither_quotes_nor_lines():
    told, unfit = shells.lines(HARD, "gitlab")
    assert unfit == ["BLANKS", "LINES"]
    assert dict(line.split("=", 1) for line in told) == {
        name: value for name, value in HARD.items() if name not in unfit
    }
    assert not [line for line in told if not line or line.startswith("#") or "\n" in line]


def test_dotenv_says_only_what_every_reader_agrees_on(tmp_path):
    from dotenv import dotenv_values

    told, unfit = shells.lines(HARD | {"ONE": "it's"}, "dotenv")
    assert unfit == ["QUOTES", "BACK", "LINES"]
    file = tmp_path / "made.env"
    file.write_text("".join(f"{line}\n" for line in told), encoding="utf-8")
    expected = {k: v for k, v in (HARD | {"ONE": "it's"}).items() if k not in unfit}
    assert dotenv_values(file, interpolate=False) == expected
    done = subprocess.run(
        ["sh", "-c", f'set -a; . "{file}"; printf "%s|" "$BLANKS" "$DOLLAR" "$MARKS" "$ONE"'],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "".join(
        f"{expected[name]}|" for name in ("BLANKS", "DOLLAR", "MARKS", "ONE")
    )
