"""What the two data planes of a tunnel share: their ends, their counters, a reset."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

# SO_LINGER of zero seconds: close sends a reset instead of an end.
AT_ONCE = struct.pack("ii", 1, 0)


@dataclass
class Counts:
    """Bytes of all tunnels that share it: ``sent`` to the targets, ``received`` from them."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True)
class Far:
    """The far end of a tunnel: a connected raw socket, or streams where TLS lies between.

    ``early`` are bytes that came from it while it was dialled.
    """

    raw: socket.socket | None = None
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    early: bytes = b""

    def close(self) -> None:
        """Let go of it without a word."""
        if self.raw:
            self.raw.close()
        if self.streams:
            self.streams[1].transport.abort()


class Plane:
    """What both data planes are to the outside."""

    moved = 0
    """Grows with each step; stands still while the tunnel is quiet."""

    async def run(self, first: bytes, early: bytes) -> None:
        """Carry bytes until both ways have ended."""
        raise NotImplementedError

    def abort(self) -> None:
        """Reset both sides and have ``run`` return."""
        raise NotImplementedError


def prepare(sock: socket.socket) -> None:
    """Set what a tunnel's socket needs; a peer that is gone is noticed within hours."""
    sock.setblocking(False)
    with suppress(OSError):  # not TCP: a test's socket pair
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    sock.close()
