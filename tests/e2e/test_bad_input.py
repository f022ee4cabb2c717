"""What users get wrong: one to three lines, a documented status, no traceback."""

from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.netns import run_counted

pytestmark = pytest.mark.e2e

CONFIG = 'name = "w"\nmain = "{main}"\ncompatibility_date = "{date}"\n'
GOOD = CONFIG.format(main="src/entry.py", date="2026-11-17")

WRONG = {
    "no configuration": ({}, "no wrangler configuration"),
    "broken toml": ({"wrangler.toml": "name = \n"}, "not valid TOML"),
    "broken json": ({"wrangler.json": '{"name": '}, "not valid JSON"),
    "broken jsonc": ({"wrangler.jsonc": "{ // only\n"}, "not valid JSONC"),
    "no text": ({"wrangler.toml": "name = '\ufffd\n"}, "not valid TOML"),
    "a list": ({"wrangler.json": "[]"}, "table of settings"),
    "no entry module": ({"wrangler.toml": 'name = "w"\n'}, "no entry module"),
    "no date": ({"wrangler.toml": 'main = "a.py"\n'}, "compatibility_date"),
    "no such day": (
        {"wrangler.toml": CONFIG.format(main="a.py", date="2026-02-30")},
        "'2026-02-30'",
    ),
    "not a date": ({"wrangler.toml": CONFIG.format(main="a.py", date="soon")}, "'soon'"),
    "not Python": (
        {"wrangler.toml": CONFIG.format(main="a.js", date="2026-11-17")},
        "a.js",
    ),
}


def assert_clear(text: str) -> None:
    assert len(text.strip().splitlines()) in (1, 2, 3), text
    assert "Traceback" not in text
    assert "error[bug]" not in text


@pytest.mark.parametrize(("files", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_project_that_cannot_be_used(
    machine: Machine, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = machine.call(tmp_path, "prefetch")
    assert done.returncode == 8, done.stderr
    assert said in done.stderr
    assert_clear(done.stderr)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["prefetch", "no/such/folder"],
        ["prefetch", "--no-such-option"],
        ["prefetch", "--date", "2026-11-17"],
        ["run"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_use(machine: Machine, tmp_path: Path, arguments: list[str]) -> None:
    done = machine.call(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert "Usage: pyodide-offline" in done.stderr
    assert_clear(done.stderr)


def test_offline_with_an_empty_store(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(GOOD, encoding="utf-8")
    empty = {"PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / "store")}
    done = machine.call(tmp_path, "prefetch", "--offline", **empty)
    assert done.returncode == 12, done.stderr
    assert "pyodide-offline prefetch" in done.stderr
    assert_clear(done.stderr)


@pytest.mark.usefixtures("counting_network")
def test_no_registry_answers(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(GOOD, encoding="utf-8")
    env = {
        **machine.env,
        "PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / "store"),
        # npm and pip wait a minute or two between their tries: not here.
        "npm_config_fetch_retries": "0",
        "PIP_RETRIES": "0",
    }
    cut = run_counted([PROGRAM, "prefetch", "-q"], env=env, cwd=tmp_path, timeout=120)
    assert cut.status in {3, 7}, cut.output  # the network, or the tool that could not use it
    assert cut.packets > 0
    assert_clear(cut.output)


@pytest.mark.parametrize("kind", ["open to all", "a file", "a link"])
def test_a_cache_folder_that_cannot_be_trusted(
    machine: Machine, tmp_path: Path, kind: str, prefetched: Path
) -> None:
    folder = tmp_path / "cache"
    if kind == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    elif kind == "a file":
        folder.write_text("not a folder")
    else:
        folder.symlink_to(tmp_path)
    done = machine.call(prefetched, "prefetch", "--cache-dir", str(folder))
    assert done.returncode == 9, done.stderr
    assert str(folder) in done.stderr
    assert_clear(done.stderr)


def test_a_program_that_is_not_there(machine: Machine, prefetched: Path) -> None:
    done = machine.call(prefetched, "run", "-q", "--", "no-such-program")
    assert done.returncode == 7, done.stderr
    assert "no-such-program" in done.stderr
    assert_clear(done.stderr)
