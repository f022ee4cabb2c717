"""Namespaces of the Linux kernel for this process, by ctypes: os.unshare is of Python 3.12.

A user namespace needs no right and gives all rights over what is made in it: a network
with nothing but loopback, and mounts that nobody else sees. Sources: user_namespaces(7),
mount_namespaces(7), capabilities(7), netdevice(7), prctl(2). Nothing is guessed: each
step is tried, and the one that is refused is told (StepError).
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_NEWUSER, _NEWNET, _NEWNS = 0x10000000, 0x40000000, 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PDEATHSIG, _CAPBSET_READ, _CAPBSET_DROP, _CAP_AMBIENT, _CLEAR_ALL = 1, 23, 24, 47, 4
_CAPABILITY_VERSION_3, _SETFCAP = 0x20080522, 31
# What an ordinary root needs for files and users: chown, dac_override, dac_read_search,
# fowner, fsetid, kill, setgid, setuid, and net_bind_service. None leads out of a network.
ROOTS_OWN = 0b0100_1111_1111
# TEST-NET-1 (RFC 5737) and the documentation prefix (RFC 3849): no real network has them.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class StepError(Exception):
    """A step that the kernel does not allow; ``number`` is the errno."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(f"{step}: {os.strerror(number)}")
        self.step = step
        self.number = number


def new_user() -> None:
    """Go into a user namespace of one's own, in which nobody is mapped yet."""
    _call("unshare of a user namespace", "unshare", _NEWUSER)


def new_network_and_mounts() -> None:
    """Go into a network with loopback alone, and mounts that change nobody else's."""
    _call("unshare of a network namespace", "unshare", _NEWNET)
    _call("unshare of a mount namespace", "unshare", _NEWNS)
    _call("mount of a private tree", "mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)


def map_ids(pid: int) -> int:
    """Map the users of a process in a new user namespace; return the capabilities to keep.

    Everybody to himself where we are root, so that root's files and those of others look
    as they do outside; else this user and group alone, all that anybody may map.
    """
    folder = Path(f"/proc/{pid}")
    if os.geteuid() == 0:
        with suppress(OSError):
            for kind in ("uid_map", "gid_map"):
                ranges = [
                    line.split() for line in Path("/proc/self", kind).read_text().splitlines()
                ]
                text = "".join(f"{inner} {inner} {count}\n" for inner, _, count in ranges)
                (folder / kind).write_text(text)
            return ROOTS_OWN & _effective()
    try:
        with suppress(FileNotFoundError):
            (folder / "setgroups").write_text("deny")
        (folder / "uid_map").write_text(f"{os.geteuid()} {os.geteuid()} 1\n")
        (folder / "gid_map").write_text(f"{os.getegid()} {os.getegid()} 1\n")
    except OSError as error:
        raise StepError("write of uid_map", error.errno or 0) from error
    return 0


def _effective() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def raise_loopback() -> None:
    """Switch loopback on: in a new network it is off."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
            flags = struct.unpack("16sh14x", asked)[1]
            fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
        except OSError as error:
            raise StepError("switching loopback on", error.errno or 0) from error


def show(file: Path, place: Path) -> None:
    """Show a file in the place of another, which must be there."""
    step = f"mount over {place}"
    _call(step, "mount", os.fsencode(file), os.fsencode(place.resolve()), None, _MS_BIND, None)


def drop_capabilities(kept: int) -> None:
    """Keep only these capabilities (bits), and let no program that is started have others."""
    number = 0
    while _prctl(_CAPBSET_READ, number) >= 0:
        if not kept >> number & 1:
            _call("dropping a capability", "prctl", _CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    _prctl(_CAP_AMBIENT, _CLEAR_ALL)
    head = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    _call("dropping capabilities", "capset", head, struct.pack("6I", low, low, 0, high, high, 0))


def die_with_parent(number: int) -> None:
    """Have the kernel send a signal to this process when the thread that made it ends."""
    _prctl(_PDEATHSIG, number)


def leak() -> str:
    """Return the address that could be dialled from here although none should; "" is well."""
    for family, address in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            if sock.connect_ex((address, 443)) not in _NO_WAY:
                return address
    return ""


def switches() -> dict[str, str]:
    """Return what this kernel says of its switches for namespaces, by sysctl(8) name."""
    found = {}
    for name in SWITCHES:
        with suppress(OSError):
            found[name] = Path("/proc/sys", *name.split(".")).read_text().strip()
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Seccomp:"):
                found["seccomp"] = line.split()[1]
    if os.geteuid() == 0 and not _effective() >> _SETFCAP & 1:
        found["setfcap"] = "0"  # wanted for a map of user 0 since Linux 5.12
    return found


SWITCHES: Sequence[str] = (
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.unprivileged_userns_clone",
    "user.max_user_namespaces",
    "user.max_net_namespaces",
    "user.max_mnt_namespaces",
)


def _prctl(what: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return int(_libc().prctl(what, *(_long(one) for one in padded)))


def _call(step: str, name: str, *arguments: object) -> None:
    import ctypes

    passed = [_long(one) if isinstance(one, int) else one for one in arguments]
    try:
        function = getattr(_libc(), name)
    except AttributeError:
        raise StepError(step, errno.ENOSYS) from None
    if function(*passed) != 0:
        raise StepError(step, ctypes.get_errno())


def _long(number: int) -> object:
    import ctypes

    return ctypes.c_ulong(number)


def _libc() -> "ctypes.CDLL":
    import ctypes

    if sys.platform != "linux":
        raise StepError("namespaces", errno.ENOSYS)
    return ctypes.CDLL(None, use_errno=True)
