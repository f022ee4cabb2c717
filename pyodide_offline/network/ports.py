"""A listener on a port; and where there can be none, by whom or what that is prevented."""

import errno
import ipaddress
import os
import re
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.targets import LOOPBACK, joined

# The kernel cuts it to net.core.somaxconn. With socat's 5, one round in three lost connections.
BACKLOG = 4096
_LISTENING = "0A"  # TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp prints it


def listener(address: str, port: int) -> socket.socket:
    """Return a non-blocking listener. Raises NetworkError with who has the port, or what to do."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would mean to share the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _explained(error, address, port) from error
    return sock


def _explained(error: OSError, address: str, port: int) -> NetworkError:
    where = joined(address, port)
    elsewhere = f"--listen {joined(address, 8000 + port % 1000)}"
    if error.errno == errno.EADDRINUSE:
        who = holder(port)
        return NetworkError(
            f"Cannot listen on {where}: the port is taken.",
            why=f"{who} listens there." if who else "",
            next_step=f"End it, or name another port: {elsewhere}",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        python = Path(sys.executable).resolve()
        return NetworkError(
            f"Cannot listen on {where}: this user may not listen below port 1024.",
            why=f"It may with: sudo setcap cap_net_bind_service=+ep {python}, "
            f"or sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}"
            if sys.platform == "linux"
            else "",
            next_step=f"Start it as root, or name another port: {elsewhere}"
            + (" Or: pyodide-offline exec -- COMMAND" if sys.platform == "linux" else ""),
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return NetworkError(
            f"Cannot listen on {where}: this machine has no such address.",
            next_step="Name one that it has, such as --listen 127.0.0.1",
        )
    return NetworkError(f"Cannot listen on {where}: {error.strerror}.")


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """Return who listens on a port, as ``name (pid 1)``; None where that cannot be told."""
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            inodes |= _listening((proc / table).read_text(encoding="ascii"), port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(proc.glob("[0-9]*"), key=lambda one: int(one.name)):
        with suppress(OSError):
            for one in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(one) in wanted:  # noqa: PTH115 - no path, a name
                        return f"{_name(process)} (pid {process.name})"
    return None


@dataclass(frozen=True, order=True)
class Listening:
    """A socket that listens: its port, and the address that leads to it from the same machine."""

    port: int
    address: str


def listening(table: str) -> set[Listening]:
    """Return what listens on loopback or on all addresses, of /proc/net/tcp or tcp6 (proc(5))."""
    found = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == _LISTENING:
            digits, _, port = words[1].partition(":")
            address = _address(digits)
            if address.is_unspecified:
                address = ipaddress.ip_address(LOOPBACK if address.version == 4 else "::1")
            if address.is_loopback:
                found.add(Listening(int(port, 16), str(address)))
    return found


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    # Words of 32 bits in the machine's own order.
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    found = ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))
    mapped = found.ipv4_mapped if found.version == 6 else None
    return mapped or found


def _listening(table: str, port: int) -> set[str]:
    """Return the inodes of the sockets in /proc/net/tcp (proc(5)) that listen on the port."""
    found = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == _LISTENING and words[1].endswith(f":{port:04X}"):
            found.add(words[9])
    return found


def _name(process: Path) -> str:
    with suppress(OSError):
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        return re.sub(r"[^\w.:/ -]", "?", name) or "a program"
    return "a program"
