"""Which processes hold a TCP port of this machine (Linux: proc(5), /proc/net/tcp)."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"  # TCP_LISTEN in the kernel's tcp_states.h
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


@dataclass(frozen=True)
class Holder:
    """A process that listens; ``pid`` is 0 and ``command`` empty where that may not be seen."""

    port: int
    pid: int = 0
    command: str = ""


def listening(tables: str) -> dict[int, set[str]]:
    """Read the tables' text: port → inodes of the sockets that listen on it."""
    found: dict[int, set[str]] = {}
    for line in tables.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING:
            port = int(fields[1].rpartition(":")[2], 16)
            found.setdefault(port, set()).add(fields[9])
    return found


def of(ports: tuple[int, ...]) -> list[Holder]:
    """Return who listens on these ports; empty where the system does not tell."""
    text = ""
    for table in _TABLES:
        with suppress(OSError):
            text += Path(table).read_text(encoding="ascii")
    inodes = listening(text)
    return [_holder(port, inodes[port]) for port in ports if port in inodes]


def _holder(port: int, inodes: set[str]) -> Holder:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    with suppress(OSError):
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _holds(folder, wanted):
                return Holder(port, int(folder.name), _command(folder))
    return Holder(port)


def _holds(process: Path, wanted: set[str]) -> bool:
    with suppress(OSError):  # another user's, or gone meanwhile
        handles = os.listdir(process / "fd")  # noqa: PTH208 - thousands of them
        for handle in handles:
            with suppress(OSError):
                if os.readlink(f"{process}/fd/{handle}") in wanted:  # noqa: PTH115 - the same
                    return True
    return False


def _command(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""
