"""`pyodide-offline run` as a person meets it."""

import pytest

from pyodide_offline.cli import run as command
from pyodide_offline.features import run as feature


@pytest.fixture
def called(monkeypatch):
    seen: dict[str, object] = {}

    def run(session, words, say, **named):
        say("Python 3.14.2")
        say("Python 3.14.2")
        seen.update(named, session=session, words=words)
        return 7

    monkeypatch.setattr(feature, "run", run)
    return seen


def invoke(*arguments):
    return command.run.main(args=list(arguments), standalone_mode=False)


def test_what_follows_the_dashes_is_the_command(called, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "c"))
    status = invoke("--offline", "--bundle", "npm", "--", "pywrangler", "dev", "--port", "1", "-q")
    assert status == 7
    assert called["words"] == ("pywrangler", "dev", "--port", "1", "-q")
    assert called["session"].offline
    assert called["policy"] == "npm"
    # One line, however often it is said.
    assert capsys.readouterr().err == "pyodide-offline: Python 3.14.2\n"


def test_without_dashes_options_behind_the_command_are_its_own(called, tmp_path):
    invoke(
        "--store-dir", str(tmp_path), "--cache-dir", str(tmp_path), "wrangler", "dev", "--offline"
    )
    assert called["words"] == ("wrangler", "dev", "--offline")
    assert not called["session"].offline


def test_variables_stand_behind_options(called, tmp_path, monkeypatch):
    monkeypatch.setenv("PYODIDE_OFFLINE_BUNDLE", "official")
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "c"))
    invoke("true")
    assert called["policy"] == "official"
    invoke("--bundle", "npm", "true")
    assert called["policy"] == "npm"


def test_quiet_does_not_say_which_python(called, tmp_path, capsys):
    invoke("-q", "--store-dir", str(tmp_path), "--cache-dir", str(tmp_path), "true")
    assert capsys.readouterr().err == ""


def test_another_folder_is_the_project(called, tmp_path):
    invoke("-C", str(tmp_path), "--store-dir", "/s", "--cache-dir", "/c", "true")
    assert called["session"].project == tmp_path


@pytest.mark.parametrize(
    ("options", "variable", "wanted"),
    [([], "", True), (["--no-fetch"], "", False), ([], "0", False), (["--fetch"], "0", True)],
)
def test_the_workers_requests_may_be_left_as_they_are(
    called, tmp_path, monkeypatch, options, variable, wanted
):
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "c"))
    if variable:
        monkeypatch.setenv("PYODIDE_OFFLINE_FETCH", variable)
    invoke(*options, "--", "true")
    assert called["fetch"] is wanted
