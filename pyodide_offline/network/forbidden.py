"""What it means that a kernel refuses a namespace, and which switch allows it. Pure.

Ubuntu from 23.10 on lets a program make a user namespace but gives it no right in there,
so the refusal comes late: at uid_map, at loopback, at a mount.
"""

import errno
import os
from collections.abc import Mapping

from pyodide_offline.errors import UnsupportedError

_REFUSED = (errno.EPERM, errno.EACCES)
_CLONE = "kernel.unprivileged_userns_clone"
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
# From linux/seccomp.h: a filter is in force, as container engines set one.
_FILTERED = "2"
OTHERWISE = "Or, with the right to change the hosts file: pyodide-offline tunnel --hosts -- COMMAND"


def explain(step: str, number: int, switches: Mapping[str, str]) -> UnsupportedError:
    """Return the error for a step that failed with this errno. ``switches`` as they stand."""
    reason, remedy = _reason(step, number, switches)
    return UnsupportedError(
        f"This system does not let a command have a network of its own: "
        f"{step}, {os.strerror(number)}.",
        why=reason,
        next_step=f"{remedy} {OTHERWISE}".strip(),
    )


def elsewhere(platform: str) -> UnsupportedError:
    """Return the error for a system that has no such namespaces."""
    return UnsupportedError(
        f"exec is for Linux: {platform} has no namespaces for a network.",
        next_step="With the right to change the hosts file: "
        "pyodide-offline tunnel --hosts -- COMMAND",
    )


def _reason(step: str, number: int, switches: Mapping[str, str]) -> tuple[str, str]:
    if number == errno.ENOSPC:
        kind = "net" if "network" in step else "mnt" if "mount" in step else "user"
        name = f"user.max_{kind}_namespaces"
        return f"{name} is {switches.get(name, 'unknown')} here.", _sysctl(name, "10000")
    if number in (errno.EINVAL, errno.ENOSYS):
        return "This kernel was built without it (CONFIG_USER_NS, CONFIG_NET_NS).", ""
    if number in _REFUSED:
        if switches.get(_CLONE) == "0":
            return f"{_CLONE} is 0 here.", _sysctl(_CLONE, "1")
        if switches.get(_APPARMOR, "0") != "0":
            return f"{_APPARMOR} is {switches[_APPARMOR]} here.", _sysctl(_APPARMOR, "0")
        if "uid_map" in step and switches.get("setfcap") == "0":
            return (
                "A root without the capability setfcap may not be mapped (user_namespaces(7)).",
                "Be another user, or allow it to the container: --cap-add SETFCAP.",
            )
        if switches.get("seccomp") == _FILTERED:
            return (
                "A seccomp filter is in force, as in a container.",
                "Start the container with another: --security-opt seccomp=unconfined.",
            )
        return "A security module, a chroot or the container forbids it.", ""
    return "", ""


def _sysctl(name: str, value: str) -> str:
    return f"Allow it: sudo sysctl -w {name}={value}."
