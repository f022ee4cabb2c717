"""Both data planes between two scripted ends on loopback, for their tests.

    def scene(world):
        async def play():
            async with world() as ends:
                await ends.client.send(b"x")

``client`` and ``target`` are what a person and the far host hold; the relay is between.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pyodide_offline.network import plane, splice
from pyodide_offline.network.plane import Counts, Far
from pyodide_offline.network.relay import relay

PLANES = ["protocols", *(["splice"] if splice.possible() else [])]


class End:
    """One end, with awaitable calls."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    async def read(self, size: int = 1 << 18) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, size)

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self.read(size - len(data))
            assert more, f"ended after {len(data)} of {size} bytes"
            data += more
        return data

    async def rest(self) -> bytes:
        parts = []
        while more := await self.read():
            parts.append(more)
        return b"".join(parts)

    def reset(self) -> None:
        plane.reset(self.sock)


@dataclass
class Ends:
    client: End
    target: End
    task: "asyncio.Task[None]"
    counts: Counts


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets: a socket pair knows no reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


@asynccontextmanager
async def between(
    kind: str, *, first: bytes = b"", early: bytes = b"", idle: float | None = None
) -> AsyncIterator[Ends]:
    """Run a relay between two ends; both are closed after, and the relay must end then."""
    client, near = tcp_pair()
    there, target = tcp_pair()
    plane.prepare(near)
    plane.prepare(there)
    pipes = splice.Pipes() if kind == "splice" else None
    counts = Counts()
    running = relay(near, Far(there, early=early), counts, first=first, idle=idle, pipes=pipes)
    task = asyncio.create_task(running)
    try:
        async with asyncio.timeout(20):
            yield Ends(End(client), End(target), task, counts)
            client.close()
            target.close()
            await task
        assert near.fileno() == there.fileno() == -1, "a socket was left open"
    finally:
        client.close()
        target.close()
        if pipes:
            pipes.close()
