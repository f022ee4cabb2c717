"""Where errors end."""

import json
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


def test_json_was_asked_for(failing, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--json"])
    failing(NetworkError("No way."))
    assert json.loads(capsys.readouterr().err)["error"]["what"] == "No way."


@pytest.mark.parametrize(("value", "wanted"), [("1", False), ("", None)])
def test_no_color_is_obeyed(monkeypatch, value, wanted):
    monkeypatch.setenv("NO_COLOR", value)
    assert boundary.colour() is wanted
