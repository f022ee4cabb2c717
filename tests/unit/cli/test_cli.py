"""The command line as a person meets it."""

import json
import subprocess
import sys

import pytest

from pyodide_offline import __version__, cli
from pyodide_offline.cli import app


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_shows_commands_and_examples(program, word):
    done = program(word)
    assert done.returncode == 0
    assert "pyodide-offline run -- pywrangler dev" in done.stdout
    assert all(name in done.stdout for name in app.COMMANDS)


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_each_command_has_help_with_an_example(program, name):
    done = program(name, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout


def test_the_version(program):
    assert program("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["prefetch", "--date", "2026-01-01"], ["prefetch", "--bundle", "x"]],
)
def test_wrong_use_is_status_2(program, arguments):
    done = program(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_json_an_error_is_json(program):
    (program.folder / "wrangler.toml").write_text("main = ")
    done = program("prefetch", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "project"


def test_a_reader_that_goes_away_is_no_error(program, tmp_path):
    line = f"'{sys.executable}' -m pyodide_offline --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_is_still_loading_says_nothing(monkeypatch):
    class Interrupting:
        def find_spec(self, name, *_):
            if name == "pyodide_offline.cli.boundary":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "pyodide_offline.cli.boundary")
    monkeypatch.delattr(cli, "boundary")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
