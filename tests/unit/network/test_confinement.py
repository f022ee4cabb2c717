"""The conversation with the process inside; the whole of it is tested end to end."""

import os
import sys

import pytest

from pyodide_offline.errors import ToolchainError, UnsupportedError
from pyodide_offline.network import confinement, handover, namespace
from pyodide_offline.network.namespace import StepError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


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
    def refuse(_):
        raise StepError("unshare of a user namespace", 1)

    monkeypatch.setattr(confinement, "_reply", refuse)
    monkeypatch.setattr(os, "fork", lambda: os.posix_spawnp("true", ["true"], os.environ))
    plan = confinement.Plan(["true"], {}, [])
    with pytest.raises(UnsupportedError, match="network of its own"), confinement.enter(plan):
        pass
