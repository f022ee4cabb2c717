"""Bytes between two connections whose heads are read: what an Upgrade or a CONNECT leaves."""

import asyncio
import select

from pyodide_offline.network.outbound import CHUNK, Connection


async def pipe(near: Connection, far: Connection, first: bytes, early: bytes) -> None:
    """Carry bytes both ways until both have ended; an end is passed on as an end.

    Both are closed then. A reset of one is a reset of the other.
    """
    ways = [
        asyncio.create_task(_one_way(near, far, first)),
        asyncio.create_task(_one_way(far, near, early)),
    ]
    try:
        for way in asyncio.as_completed(ways):
            if await way:
                break
        near.close()
        far.close()
    except OSError:
        near.abort()
        far.abort()
    finally:
        for task in ways:
            task.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _one_way(source: Connection, sink: Connection, data: bytes) -> bool:
    """Carry one way; true where nothing can go the other way any more."""
    await write(sink, data)
    while data := await source.reader.read(CHUNK):
        await write(sink, data)
    if not sink.writer.can_write_eof():  # TLS has no half close in asyncio
        return True
    sink.writer.write_eof()
    return _hung_up(source)


def _hung_up(connection: Connection) -> bool:
    """Say whether the other side has closed for good, not only ended its own way."""
    handle = connection.writer.get_extra_info("socket").fileno()
    if handle < 0 or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(handle, 0)  # POLLHUP is always told
    return any(event & select.POLLHUP for _, event in poll.poll(0))


async def write(connection: Connection, data: bytes | None) -> None:
    """Write, and wait until there is room again; OSError where the other side has gone."""
    if data:
        connection.writer.write(data)
        await connection.writer.drain()
