"""Where errors end."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pyodide_offline.cli import app, boundary
from pyodide_offline.errors import IntegrityError, NetworkError


@pytest.fixture
def failing(monkeypatch):
    """Make the whole program raise an error; returns its exit status."""

    def run(error):
        def main(**_):
            raise error

        monkeypatch.setattr(app.app, "main", main)
        with pytest.raises(SystemExit) as caught:
            boundary.guarded([])
        return caught.value.code

    return run


def test_an_error_of_ours_has_its_own_status(failing, capsys):
    assert failing(NetworkError("No way.", why="Refused.", next_step="Set HTTPS_PROXY.")) == 3
    said = capsys.readouterr().err.splitlines()
    assert said == ["error[network]: No way.", "  Refused.", "  Set HTTPS_PROXY."]


def test_no_secret_gets_out(failing, capsys):
    failing(IntegrityError("https://me:s3cret@host/ failed", why="token=s3cret"))
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.exceptions.Abort()])
def test_ctrl_c_is_130(failing, error):
    assert failing(error) == 130


def test_a_bug_has_its_own_status_and_leaves_a_log(failing, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failing(ZeroDivisionError("password=s3cret")) == 70
    said = capsys.readouterr().err
    assert "Traceback" not in said
    log = Path(said.split("Details: ")[1].strip())
    assert "ZeroDivisionError" in log.read_text()
    assert "s3cret" not in log.read_text() + said


def test_wrong_use_keeps_clicks_status(failing):
    assert failing(click.UsageError("no")) == 2


def _said(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        boundary.guarded(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_wrong_use_is_told_in_three_lines(capsys):
    assert _said(capsys, "mirror", "accept", "gem", "a", "1") == [
        "error[usage]: Invalid value for '{npm|pypi|bundle}': 'gem' is not one of 'npm', 'pypi', "
        "'bundle'.",
        "  Usage: pyodide-offline mirror accept [OPTIONS] {npm|pypi|bundle} NAME VERSION|FILE",
        "  Type: pyodide-offline mirror accept --help",
    ]


def test_a_command_that_is_written_wrong_has_a_neighbour(capsys):
    assert _said(capsys, "prefecth")[0].endswith("'prefecth'. Did you mean 'prefetch'?")
    assert _said(capsys, "zzz")[0].endswith("There is no command 'zzz'.")


def test_a_value_that_nobody_typed_is_told_with_its_place(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PYODIDE_OFFLINE_BUNDLE", "nmp")
    assert _said(capsys, "env")[0].endswith("That is from PYODIDE_OFFLINE_BUNDLE.")
    monkeypatch.delenv("PYODIDE_OFFLINE_BUNDLE")
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("[tool.pyodide-offline]\nbundle = 'nmp'\n")
    assert _said(capsys, "env")[0].endswith("settings file (pyproject.toml, config.toml).")
    assert "That is from" not in _said(capsys, "env", "--bundle", "nmp")[0]


def test_a_group_without_a_command_shows_its_help(capsys):
    assert "Commands:" in _said(capsys, "cache")


def test_json_was_asked_for(failing, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--json"])
    failing(NetworkError("No way."))
    assert json.loads(capsys.readouterr().err)["error"]["what"] == "No way."


def test_json_that_another_program_is_asked_for_is_not_ours(failing, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "run", "--", "tool", "--json"])
    failing(NetworkError("No way."))
    assert capsys.readouterr().err == "error[network]: No way.\n"


def test_wrong_use_is_json_too(failing, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--json"])
    failing(click.UsageError("no", click.Context(app.app, info_name="x")))
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "usage"


@pytest.mark.parametrize(("value", "wanted"), [("1", False), ("", None)])
def test_no_color_is_obeyed(monkeypatch, value, wanted):
    monkeypatch.setenv("NO_COLOR", value)
    assert boundary.colour() is wanted


_ENDING = """
import atexit, sys, types
class Last:
    def __del__(self, print=print):
        print("finalized", flush=True)
last = Last()
atexit.register(print, "at exit")
if {loaded}:
    sys.modules["obstore"] = types.ModuleType("obstore")
from pyodide_offline.cli import main
sys.argv[1:] = {arguments}
main()
"""


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--version"], 0), (["no-such"], 2)], ids=["well", "misuse"]
)
@pytest.mark.parametrize("loaded", [False, True], ids=["plainly", "with obstore's threads"])
def test_the_end_is_told_whole_and_with_threads_the_interpreter_is_not_torn_down(
    loaded, arguments, status
):
    code = _ENDING.format(loaded=loaded, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    assert "at exit" in done.stdout
    assert ("finalized" in done.stdout) is not loaded
    assert ("pyodide-offline" in done.stdout) is (status == 0)


def test_a_reader_that_went_away_is_no_traceback_at_the_end():
    code = _ENDING.format(loaded=True, arguments=["--version"]).replace("atexit.register", "#")
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 1  # as click has it, where nobody reads
