"""Each refusal of a kernel names the switch that stands in the way, and the other way."""

import errno

import pytest

from pyodide_offline.network import forbidden

USER = "unshare of a user namespace"
NETWORK = "unshare of a network namespace"
MOUNT = "mount over /etc/hosts"
APPARMOR = {"kernel.apparmor_restrict_unprivileged_userns": "1", "seccomp": "0"}


@pytest.mark.parametrize(
    ("step", "number", "switches", "why", "remedy"),
    [
        (USER, errno.ENOSPC, {"user.max_user_namespaces": "0"}, "user.max_user_namespaces is 0",
         "sysctl -w user.max_user_namespaces=10000"),
        (NETWORK, errno.ENOSPC, {"user.max_net_namespaces": "0"}, "user.max_net_namespaces is 0",
         "sysctl -w user.max_net_namespaces=10000"),
        (USER, errno.EPERM, {"kernel.unprivileged_userns_clone": "0"}, "userns_clone is 0",
         "sysctl -w kernel.unprivileged_userns_clone=1"),
        (MOUNT, errno.EACCES, APPARMOR, "apparmor_restrict_unprivileged_userns is 1",
         "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ("write of uid_map", errno.EPERM, {"setfcap": "0", "seccomp": "2"}, "setfcap",
         "--cap-add SETFCAP"),
        (USER, errno.EPERM, {"seccomp": "2"}, "seccomp filter", "--security-opt seccomp="),
        (USER, errno.EPERM, {}, "A security module, a chroot or the container", ""),
        (USER, errno.EINVAL, {}, "CONFIG_USER_NS", ""),
        (USER, errno.EIO, {}, "", ""),
    ],
)  # fmt: skip
def test_a_refusal_is_explained(step, number, switches, why, remedy):
    error = forbidden.explain(step, number, switches)
    assert step in error.what
    assert why in error.why
    assert bool(why) == bool(error.why)
    assert remedy in error.next_step
    assert "pyodide-offline tunnel --hosts -- COMMAND" in error.next_step
    assert error.code == "unsupported"


def test_other_systems_are_told_that_it_is_for_linux():
    error = forbidden.elsewhere("macOS")
    assert error.what == "exec is for Linux: macOS has no namespaces for a network."
    assert "tunnel --hosts" in error.next_step
