"""Connections that wait for their origin's next request.

One that its server closes, or on which it speaks unasked, is let go at once.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from pyodide_offline.network.hops import Target
from pyodide_offline.network.outbound import Connection

IDLE = 30.0  # seconds; many servers close after a minute, some after less
AN_ORIGIN, ALL = 8, 64
_Key = tuple[str, str, int]


@dataclass
class Pool:
    """The waiting connections of one forwarder."""

    idle: float = IDLE
    _waiting: dict[_Key, list["_Waiting"]] = field(default_factory=dict)

    async def take(self, target: Target) -> Connection | None:
        """Return the connection to this origin that waits since the shortest time, if any."""
        mine = self._waiting.get(_key(target), [])
        while mine:
            one = mine.pop()
            if await one.stop():
                return one.connection
            one.connection.abort()
        return None

    def give(self, target: Target, connection: Connection) -> None:
        """Keep a connection, or close it where there are enough."""
        mine = self._waiting.setdefault(_key(target), [])
        if len(mine) >= AN_ORIGIN or sum(map(len, self._waiting.values())) >= ALL:
            connection.abort()
            return
        mine.append(_Waiting(connection, self.idle, mine))

    def close(self) -> None:
        """Close all that wait."""
        for mine in self._waiting.values():
            for one in mine:
                one.drop()
        self._waiting.clear()


class _Waiting:
    def __init__(self, connection: Connection, idle: float, among: list["_Waiting"]) -> None:
        self.connection = connection
        self._among = among
        self._watch = asyncio.create_task(self._listen(idle))

    async def stop(self) -> bool:
        """Stop listening; false where something came or the connection has ended."""
        if self._watch.done():
            return False
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch
        return self._watch.cancelled() and not self.connection.reader.at_eof()

    def drop(self) -> None:
        self._watch.cancel()
        self.connection.abort()

    async def _listen(self, idle: float) -> None:
        # Whatever it is: an end, a reset, a byte unasked, or time is over.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(idle):
                await self.connection.reader.read(1)
        self.connection.abort()
        if self in self._among:
            self._among.remove(self)


def _key(target: Target) -> _Key:
    return target.scheme, target.host, target.port
