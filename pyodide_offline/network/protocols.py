"""The data plane for everything: two asyncio protocols that pause each other.

TLS to the proxy cannot be half closed with asyncio. A client's end is held back there, so
that the answer still comes whole; when then nothing comes for a while, the client was
closing altogether, and so is the tunnel.
"""

import asyncio
import socket
from contextlib import suppress
from typing import cast

from pyodide_offline.network.plane import AT_ONCE, Counts, Far, Plane

HIGH = 256 << 10
# How long a client's end that cannot be carried on waits for a byte of the other way.
HELD_END = 30.0


class Paired(Plane):
    """A client's socket and a far end, each with a protocol."""

    def __init__(self, client: socket.socket, far: Far, counts: Counts) -> None:
        self._client, self._far, self._counts = client, far, counts
        self._loop = asyncio.get_running_loop()
        self._near, self._there = _Side(self), _Side(self)
        self._near.other, self._there.other = self._there, self._near
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._aborted = False

    async def run(self, first: bytes, early: bytes) -> None:  # noqa: D102
        try:
            early += await self._attach()
            if first:
                self.carry(self._near, first)
            if early:
                self.carry(self._there, early)
            for side in (self._near, self._there):
                side.begin()
            await self._over
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            if self._timer:
                self._timer.cancel()
            for side in (self._near, self._there):
                if side.transport:
                    _abort(side.transport)
            if not self._near.transport:
                self._client.close()
                self._far.close()

    async def _attach(self) -> bytes:
        """Give both ends their protocol, paused; return what streams had already read."""
        loop, far = self._loop, self._far
        rest = b""
        if far.streams:
            reader, writer = far.streams
            transport = cast(asyncio.Transport, writer.transport)
            lost = transport.is_closing() or reader.at_eof()
            transport.set_protocol(self._there)
            self._there.connection_made(transport)
            # From here on the reader hears nothing more, so what it has is all of it.
            reader.feed_eof()
            rest = await reader.read()
            if lost:
                loop.call_soon(self._there.eof_received)
        else:
            assert far.raw  # noqa: S101 - one of the two is there
            await loop.connect_accepted_socket(lambda: self._there, far.raw)
        await loop.connect_accepted_socket(lambda: self._near, self._client)
        return rest

    def abort(self) -> None:  # noqa: D102
        self._aborted = True
        for side in (self._near, self._there):
            if side.transport:
                side.reset()
        if not self._near.transport and not self._over.done():
            self._over.set_result(None)

    def carry(self, side: "_Side", data: bytes) -> None:
        """Pass on what a side has said."""
        self.moved += 1
        if side is self._near:
            self._counts.sent += len(data)
        else:
            self._counts.received += len(data)
        if side.other.transport:
            side.other.transport.write(data)

    def ended(self, side: "_Side") -> None:
        """Carry on that a side will say no more."""
        if side.ended:
            return
        side.ended = True
        other = side.other.transport
        if other and other.can_write_eof():
            with suppress(OSError):  # reset meanwhile: connection_lost comes
                other.write_eof()
        elif not side.other.ended:
            self._hold(self.moved)
        if side.other.ended:
            for one in (side, side.other):
                if one.transport:
                    one.transport.close()

    def _hold(self, seen: int) -> None:
        self._timer = self._loop.call_later(HELD_END, self._held_enough, seen)

    def _held_enough(self, seen: int) -> None:
        if self.moved != seen:
            self._hold(self.moved)
        elif self._there.transport:
            self._there.transport.close()

    def lost(self, side: "_Side", error: Exception | None) -> None:
        """Hear that a side's connection is gone: by a reset, or because it was closed."""
        side.lost = True
        other = side.other
        if not other.lost and other.transport:
            if error or self._aborted:
                other.reset()
            else:
                self.ended(side)
                other.transport.close()
        if other.lost and not self._over.done():
            self._over.set_result(None)


class _Side(asyncio.Protocol):
    other: "_Side"

    def __init__(self, pair: Paired) -> None:
        self._pair = pair
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.lost = False
        self._begun = False
        self._kept: list[bytes] = []
        self._kept_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH)
        # Nothing may come before both sides are there.
        self.transport.pause_reading()

    def begin(self) -> None:
        # Some CPythons (3.11.2 of Debian 12) begin to read although they were told to pause:
        # the reader is added a turn of the loop later. What came is kept, in its order.
        self._begun = True
        for data in self._kept:
            self._pair.carry(self, data)
        if self._kept_end:
            self._pair.ended(self)
        if self.transport and not self.transport.is_closing() and not self.ended:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._begun:
            self._pair.carry(self, data)
        else:
            self._kept.append(data)

    def eof_received(self) -> bool:
        if self._begun:
            self._pair.ended(self)
        else:
            self._kept_end = True
        # False closes the connection, the only thing that asyncio can do with TLS.
        return bool(self.transport and self.transport.can_write_eof())

    def pause_writing(self) -> None:
        if self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        other = self.other
        if other.transport and not other.ended and not other.transport.is_closing():
            other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pair.lost(self, exc)

    def reset(self) -> None:
        if self.transport:
            sock = self.transport.get_extra_info("socket")
            with suppress(OSError, AttributeError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            _abort(self.transport)


def _abort(transport: asyncio.Transport) -> None:
    """End a transport at once; one over TLS that is gone raises for that in some CPythons."""
    with suppress(AttributeError):
        transport.abort()
