"""What is asked of the kernel without a change; the namespaces themselves are tested end to end."""

import errno
import sys

import pytest

from pyodide_offline.network import namespace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def test_a_step_says_what_was_refused():
    error = namespace.StepError("write of uid_map", errno.EPERM)
    assert str(error) == "write of uid_map: Operation not permitted"
    with pytest.raises(namespace.StepError, match="mount over /: No such file"):
        namespace._call("mount over /", "chdir", b"/no such folder")
    with pytest.raises(namespace.StepError, match="not implemented"):
        namespace._call("x", "no_such_call_of_libc")


def test_where_something_can_be_dialled_that_is_a_leak(monkeypatch):
    monkeypatch.setattr(namespace, "_NO_WAY", set())
    assert namespace.leak() == "192.0.2.1"


def test_switches_are_read_as_they_stand():
    found = namespace.switches()
    assert int(found["user.max_user_namespaces"]) >= 0
    assert found["seccomp"] in {"0", "1", "2"}


def test_root_that_may_not_be_mapped_is_noticed(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(namespace, "_effective", lambda: ~(1 << 31))
    assert namespace.switches()["setfcap"] == "0"
    monkeypatch.setattr(namespace, "_effective", lambda: 1 << 31)
    assert "setfcap" not in namespace.switches()
