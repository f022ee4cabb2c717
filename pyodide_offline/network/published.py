"""Ports that a confined command listens on, led to from this machine's loopback.

By itself every port that turns up inside is published under its own number, as long as it
is free here; named ones (``Port``) are listened on from the start, and nothing else is.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import ports
from pyodide_offline.network.plane import Far
from pyodide_offline.network.targets import LOOPBACK, Group, Port, Target, joined
from pyodide_offline.network.tunnel import Tunnel

EVERY = 0.25  # seconds between two looks at what listens inside
Say = Callable[[str], None]
Make = Callable[[int], Awaitable[socket.socket]]


class Publisher:
    """Publishes what ``tables`` (a folder ``/proc/PID/net``) says; ``make`` makes sockets inside.

    ``named`` None: whatever listens but ``ours``; else these ports, which listen already.
    """

    def __init__(
        self,
        tables: Path,
        make: Make,
        say: Say,
        *,
        named: Mapping[Port, socket.socket] | None = None,
        ours: Collection[int] = (),
    ) -> None:
        self._tables, self._make, self._say = tables, make, say
        self._named, self._ours = named, set(ours)
        self._open: dict[int, Tunnel] = {}
        self._refused: set[int] = set()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Lead the named ports, or watch."""
        if self._named is None:
            self._watching = asyncio.create_task(self._watch())
            return
        for one, listener in self._named.items():
            await self._publish(one, listener)

    async def stop(self) -> None:
        """Take everything back."""
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(self._open.pop(one).stop(0) for one in list(self._open)))

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Publish what is new inside, take back what is no more."""
        there = {one.port for one in self._listening()} - self._ours
        for gone in self._open.keys() - there:
            await self._open.pop(gone).stop(0)
        self._refused &= there
        done = []
        for new in sorted(there - self._open.keys() - self._refused):
            try:
                await self._publish(Port(new, new))
                done.append(joined(LOOPBACK, new))
            except NetworkError as error:
                self._refused.add(new)
                self._say(f"port {new} is not published on this machine: {error.what} {error.why}")
        if done:
            self._say(f"published on this machine: {', '.join(done)}")

    async def _publish(self, wanted: Port, listener: socket.socket | None = None) -> None:
        async def dial(target: Target) -> Far:
            return await self._dial(target.port)

        group = Group(LOOPBACK, wanted.here, (Target(LOOPBACK, wanted.inside),))
        tunnel = Tunnel([group], dial, self._say)
        if listener is not None:
            tunnel.listen = lambda *_: listener
        await tunnel.start()
        self._open[wanted.here] = tunnel

    async def _dial(self, inside: int) -> Far:
        found = sorted(one.address for one in self._listening() if one.port == inside)
        # IPv4 first, as its digits sort before a colon.
        address = found[0] if found else LOOPBACK
        made = await self._make(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            await asyncio.get_running_loop().sock_connect(made, (address, inside))
        except OSError as error:
            made.close()
            raise NetworkError(f"Nothing listens inside on port {inside}.") from error
        return Far(made)

    def _listening(self) -> set[ports.Listening]:
        found: set[ports.Listening] = set()
        for name in ("tcp", "tcp6"):
            with suppress(OSError):
                found |= ports.listening((self._tables / name).read_text(encoding="ascii"))
        return found
