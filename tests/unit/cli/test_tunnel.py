"""`pyodide-offline tunnel` as a person meets it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import click
import pytest

from pyodide_offline.cli import tunnel as command
from pyodide_offline.errors import SettingsError
from pyodide_offline.features import tunnel as feature
from pyodide_offline.network.targets import Listen, Target


@pytest.fixture
def called(monkeypatch, tmp_path):
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "c"))
    seen: dict[str, object] = {}

    def run(session, words, say, tell, options):
        say("hello")
        tell({"open": 1})
        seen.update(session=session, words=words, options=options)
        return 7

    monkeypatch.setattr(feature, "run", run)
    return seen


def invoke(*arguments):
    return command.tunnel.main(args=list(arguments), standalone_mode=False)


def test_options_come_before_the_command(called, capsys):
    words = ("--listen", ":8443", "--target", "a.example", "--target", "b.example:444")
    assert invoke(*words, "--idle", "5", "--proxy", "http://p:1", "--", "x", "--hosts") == 7
    assert called["words"] == ("x", "--hosts")
    assert called["options"] == feature.Options(
        Listen("127.0.0.1", 8443),
        [Target("a.example", 443), Target("b.example", 444)],
        ("http://p:1",),
        idle=5.0,
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pyodide-offline: tunnel: hello"
    assert json.loads(lines[1]) == {"tunnel": {"open": 1}}


def test_a_resolver_that_is_none_is_told_before_anything_starts(called):
    with pytest.raises(SettingsError, match="names no DNS-over-HTTPS resolver"):
        invoke("--resolver", "dns.example", "--target", "a.example")
    assert called == {}


def test_quiet_leaves_what_was_asked_for(called, capsys):
    invoke("-q", "--target", "a.example")
    assert capsys.readouterr().err == '{"tunnel": {"open": 1}}\n'


def test_others_are_let_in_only_when_that_is_said(called):
    address = "0.0.0.0:443"
    with pytest.raises(click.UsageError, match="--public"):
        invoke("--listen", address, "--target", "a.example")
    assert invoke("--listen", address, "--public", "--target", "a.example") == 7


def test_wrong_use_has_its_status(program):
    for words in (["--listen", "a.example"], ["--target", "a:b"], ["--idle", "0"]):
        done = program("tunnel", *words)
        assert done.returncode == 2
        assert words[0] in done.stderr


def test_a_folder_without_a_worker_is_told_what_to_say(program):
    done = program("tunnel")
    assert done.returncode == 8
    assert "--target HOST:443" in done.stderr


@contextmanager
def started(program, tmp_path, file, name):
    """A tunnel whose lines are in the file by now."""
    # The sign that it runs: its command, which waits for its standard input to end.
    waiting = [sys.executable, "-c", "import sys; print('runs', flush=True); sys.stdin.read()"]
    words = ["tunnel", "--listen", "127.0.0.1:0", "--hosts", "--target", name, "--", *waiting]
    folders = {"STORE_DIR": tmp_path / "store", "CACHE_DIR": tmp_path / "c", "HOSTS_FILE": file}
    named = {f"PYODIDE_OFFLINE_{one}": str(path) for one, path in folders.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "pyodide_offline", *words],
        cwd=program.folder,
        env={**os.environ, **named},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "runs\n"
        yield child


def test_a_killed_tunnel_is_cleaned_up_after_by_the_next_which_heeds_sigterm(program, tmp_path):
    file = tmp_path / "hosts"
    file.write_text("10.0.0.1 x")
    with started(program, tmp_path, file, "killed.example") as child:
        child.kill()
    assert "killed.example" in file.read_text()
    with started(program, tmp_path, file, "next.example") as child:
        held = file.read_text()
        assert "killed.example" not in held
        assert f"127.0.0.1\tnext.example\t# pyodide-offline tunnel pid={child.pid} " in held
        child.terminate()
        assert child.stdin
        assert child.stderr
        assert "0 connections" in child.stderr.read()
    assert child.returncode == 128 + signal.SIGTERM
    assert file.read_text() == "10.0.0.1 x"
