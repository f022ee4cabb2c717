"""`pyodide-offline exec` as a person meets it."""

import click
import pytest

from pyodide_offline.cli import exec as command
from pyodide_offline.errors import SettingsError
from pyodide_offline.features import confine as feature
from pyodide_offline.network.targets import Port, Target


@pytest.fixture
def called(monkeypatch, tmp_path):
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "c"))
    seen: dict[str, object] = {}

    def run(session, words, say, options):
        say("hello")
        seen.update(words=words, options=options)
        return 7

    monkeypatch.setattr(feature, "run", run)
    return seen


def invoke(*arguments):
    return command.confined.main(args=list(arguments), standalone_mode=False)


def test_options_come_before_the_command(called, capsys):
    words = ("--target", "a.example:444", "--publish", "8080:8787", "--publish", "9229")
    assert invoke(*words, "--proxy", "http://p:1", "--", "x", "--target", "y") == 7
    assert called["words"] == ("x", "--target", "y")
    assert called["options"] == feature.Options(
        [Target("a.example", 444)], ("http://p:1",), [Port(8080, 8787), Port(9229, 9229)]
    )
    assert capsys.readouterr().err == "pyodide-offline: exec: hello\n"


def test_a_resolver_that_is_none_is_told_before_anything_starts(called):
    with pytest.raises(SettingsError, match="names no DNS-over-HTTPS resolver"):
        invoke("--resolver", "dns.example", "x")
    assert called == {}


def test_all_ports_none_or_those_that_are_named(called, capsys):
    invoke("-q", "x")
    assert called["options"].published is None
    invoke("-q", "--no-publish", "x")
    assert called["options"].published == []
    assert capsys.readouterr().err == ""
    with pytest.raises(click.UsageError, match="contradict"):
        invoke("--no-publish", "--publish", "1", "x")


@pytest.mark.parametrize("words", [["--publish", "a"], ["--target", "a:b"], []])
def test_wrong_use_has_its_status(program, words):
    assert program("exec", *words, *(["true"] if words else [])).returncode == 2
