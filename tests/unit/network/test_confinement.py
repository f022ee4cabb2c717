"""The conversation with the process inside; the whole of it is tested end to end."""

import json
import os
import subprocess
import sys

import pytest

from pyodide_offline.errors import ToolchainError, UnsupportedError
from pyodide_offline.network import confinement, handover, namespace
from pyodide_offline.network.namespace import StepError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

PLAY = """
import json, os, sys
from pyodide_offline.network import confinement
words = json.loads(sys.argv[1])
plan = confinement.Plan(words, os.environ, ["a.example"], [("127.0.0.1", 443)])
with confinement.enter(plan) as confined:
    listener = confined.listener("127.0.0.1", 443)
    listener.setblocking(True)
    status = confined.attend()
    if status == 5:
        print(listener.accept()[0].recv(9).decode())
sys.exit(status)
"""
DIAL = """
import socket, sys
with socket.create_connection(("a.example", 443), 5) as sock:
    sock.sendall(b"question")
sys.exit(5)
"""


def play(words, **more):
    return subprocess.run(
        [sys.executable, "-c", PLAY, json.dumps(words)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **more,
    )


def test_what_dials_a_target_inside_is_accepted_outside():
    done = play([sys.executable, "-c", DIAL])
    assert (done.returncode, done.stdout) == (5, "question\n"), done.stderr


def test_a_command_that_is_not_there_is_an_error_outside():
    done = play(["no-such-program"])
    assert "ToolchainError: There is no program 'no-such-program' to run." in done.stderr


@pytest.mark.parametrize(
    ("error", "caught", "text"),
    [
        (StepError("unshare of a user namespace", 1), StepError, "not permitted"),
        (ToolchainError("No.", why="So.", next_step="Do."), ToolchainError, "No. So. Do."),
        (KeyError("x"), RuntimeError, "KeyError: 'x'"),
    ],
)
def test_an_error_inside_is_one_outside(error, caught, text):
    one, other = handover.pair()
    with one, other:
        handover.send(one, confinement._told(error))
        with pytest.raises(caught, match=text):
            confinement._reply(other)


def test_what_does_not_hold_is_told_before_the_command_runs(monkeypatch):
    monkeypatch.setattr(namespace, "leak", lambda: "192.0.2.1")
    with pytest.raises(UnsupportedError, match=r"192\.0\.2\.1 was dialled"):
        confinement._check([])
    monkeypatch.setattr(namespace, "leak", lambda: "")
    with pytest.raises(UnsupportedError, match=r"no-such\.invalid leads to nothing"):
        confinement._check(["no-such.invalid"])
    confinement._check([])


def test_a_refusal_of_the_kernel_is_explained(monkeypatch):
    def refuse(_, __):
        raise StepError("unshare of a user namespace", 1)

    monkeypatch.setattr(confinement, "_prepare", refuse)
    monkeypatch.setattr(os, "fork", lambda: os.posix_spawnp("true", ["true"], os.environ))
    plan = confinement.Plan(["true"], {}, [])
    with pytest.raises(UnsupportedError, match="network of its own"), confinement.enter(plan):
        pass
