"""Connections of asyncio that are still plain sockets, with or without TLS on them."""

import asyncio
import socket
from typing import Protocol

CHUNK = 65536


class Link(Protocol):
    """One connection to a proxy."""

    socket: socket.socket

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def receive(self) -> bytes:
        """Return what came; b"" is the end."""

    def close(self) -> None:
        """Close it at once."""


class Raw:
    """A link without TLS."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self) -> bytes:
        """Return what came; b"" is the end."""
        return await asyncio.get_running_loop().sock_recv(self.socket, CHUNK)

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()


async def open_raw(host: str, port: int, family: int = 0) -> socket.socket:
    """Return a connected, non-blocking socket with TCP_NODELAY. Raises OSError.

    The addresses of a name are tried in turn.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    problem: OSError = OSError("the name has no address")
    for kind, sort, protocol, _, address in found:
        made = socket.socket(kind, sort, protocol)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            problem = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem
