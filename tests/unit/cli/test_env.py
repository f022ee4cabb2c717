"""`pyodide-offline env` as a person meets it."""

import pytest

from pyodide_offline.cli import env as command
from pyodide_offline.features import variables as feature


@pytest.fixture
def told(monkeypatch):
    """What the feature was asked; it answers with what is in ``answer``."""
    seen: dict[str, object] = {"answer": feature.Variables({"A": "one two", "B": "x"})}

    def variables(session, before, say, **named):
        say("Python 3.14.2")
        seen.update(named, session=session, before=before)
        return seen["answer"]

    monkeypatch.setattr(feature, "variables", variables)
    return seen


def invoke(tmp_path, *arguments):
    folders = ["--store-dir", str(tmp_path / "s"), "--cache-dir", str(tmp_path / "c")]
    return command.env.main(args=[*folders, *arguments], standalone_mode=False)


def test_lines_for_a_shell_go_to_stdout_and_nothing_else(told, tmp_path, capsys):
    assert invoke(tmp_path) == 0
    heard = capsys.readouterr()
    assert heard.out == "export A='one two'\nexport B=x\n"
    assert heard.err == "pyodide-offline: Python 3.14.2\n"


def test_another_form_and_what_was_wished(told, tmp_path, capsys):
    invoke(tmp_path, "-q", "--shell", "fish", "--bundle", "npm", "--offline", "-C", str(tmp_path))
    assert capsys.readouterr() == ("set -gx A 'one two'\nset -gx B 'x'\n", "")
    assert told["policy"] == "npm"
    assert told["session"].offline
    assert told["session"].project == tmp_path


def test_what_cannot_be_printed_is_named_and_fails(told, tmp_path, capsys):
    told["answer"] = feature.Variables({"A": "one\ntwo"}, ("UV_INDEX",))
    assert invoke(tmp_path, "-q", "--shell", "gitlab") == 1
    heard = capsys.readouterr()
    assert heard.out == ""
    assert "UV_INDEX holds a password" in heard.err
    assert "A cannot be written for gitlab" in heard.err
