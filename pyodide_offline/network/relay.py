"""The bytes of one tunnel, both ways, until both ways have ended.

The rules:

- An end of one way (FIN) is carried on as an end of that way; the other way lives on.
- A reset of one side is a reset of the other.
- A side that does not read stops the reading of the other side: what is held on the way
  is at most a pipe, or the write buffer of a transport.
- Nothing is cut for being quiet, unless ``idle`` says so.

Two data planes do it: ``splice`` (the kernel moves pages between raw sockets; Linux) and
``protocols`` (everywhere, and for TLS to the proxy).
"""

import asyncio
import socket

from pyodide_offline.network.plane import Counts, Far, Plane
from pyodide_offline.network.protocols import Paired
from pyodide_offline.network.splice import Pipes, Spliced


async def relay(
    client: socket.socket,
    far: Far,
    counts: Counts,
    *,
    first: bytes = b"",
    idle: float | None = None,
    pipes: Pipes | None = None,
) -> None:
    """Carry the bytes until both ways have ended; both ends are closed afterwards.

    ``first`` was already read from the client. With ``pipes`` raw sockets are spliced. An
    end by a reset, by ``idle`` seconds of silence or by cancellation resets both sides, so
    that nobody takes half an answer for a whole one.
    """
    if far.raw and pipes is not None:
        plane: Plane = Spliced(client, far.raw, counts, pipes)
    else:
        plane = Paired(client, far, counts)
    with _Watch(plane, idle):
        await plane.run(first, far.early)


class _Watch:
    """Aborts a plane that moved nothing for ``idle`` seconds; does nothing without."""

    def __init__(self, plane: Plane, idle: float | None) -> None:
        self._plane, self._idle, self._seen = plane, idle, 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._wind()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _wind(self) -> None:
        if self._idle:
            self._seen = self._plane.moved
            self._timer = asyncio.get_running_loop().call_later(self._idle, self._look)

    def _look(self) -> None:
        if self._plane.moved == self._seen:
            self._plane.abort()
        else:
            self._wind()
