"""A forwarder on a local socket and origins on loopback, for the tests of its parts."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from pyodide_offline.network.forwarder import Forwarder
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.outbound import Outbound
from pyodide_offline.network.permits import Permits
from pyodide_offline.network.proxies import Upstream

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
EVERYWHERE = Permits(("public", "private"))


def no_trust() -> ssl.SSLContext:
    raise AssertionError("no TLS here")


def outbound(
    permits: Permits = EVERYWHERE,
    ways: Sequence[Upstream] = (),
    trust: Callable[[], ssl.SSLContext] = no_trust,
) -> Outbound:
    return Outbound(permits, lambda _: ways, trust, {}, Lockout())


@asynccontextmanager
async def origin(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on loopback; yields the port. A talk that loses its client is over."""

    talks: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            with suppress(OSError, asyncio.IncompleteReadError):
                await talk(reader, writer)
            # A TLS transport of Python 3.11.2 that is closed twice cannot be aborted any more.
            if not writer.transport.is_closing():
                writer.close()
            await writer.wait_closed()
        writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(served(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in talks:
            one.cancel()
        await asyncio.gather(*talks)
        await asyncio.sleep(0)


async def head(reader: asyncio.StreamReader) -> bytes:
    """Read a request's head."""
    return await reader.readuntil(b"\r\n\r\n")


@dataclass
class Client:
    """A connection to the forwarder, and what is left of what came on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, url: str, *fields: str, method: str = "GET", body: bytes = b"") -> None:
        lines = "".join(f"{field}\r\n" for field in fields)
        self.writer.write(f"{method} {url} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        await self.writer.drain()

    async def answer(self) -> tuple[bytes, bytes]:
        """Read a head and a body of Content-Length or in chunks."""
        first = await head(self.reader)
        lower = first.lower()
        if b"transfer-encoding: chunked" in lower:
            return first, await self.chunks()
        length = 0
        if b"content-length: " in lower:
            length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
        return first, await self.reader.readexactly(length)

    async def chunks(self) -> bytes:
        whole = b""
        while size := int(await self.reader.readline(), 16):
            whole += (await self.reader.readexactly(size + 2))[:-2]
        while await self.reader.readline() != b"\r\n":
            pass
        return whole

    async def get(self, url: str, *fields: str) -> tuple[bytes, bytes]:
        await self.ask(url, *fields)
        return await self.answer()


@dataclass
class Scene:
    """A running forwarder, the clients that were connected to it, and what it said."""

    forwarder: Forwarder
    stack: AsyncExitStack
    said: list[str] = field(default_factory=list)

    async def client(self) -> Client:
        made = Client(*await asyncio.open_unix_connection(self.forwarder.path))
        self.stack.callback(made.writer.close)
        return made


@asynccontextmanager
async def forwarding(out: Outbound | None = None) -> AsyncIterator[Scene]:
    """Run a forwarder; all of it within 30 seconds."""
    said: list[str] = []
    forwarder = Forwarder(out or outbound(), said.append)
    await forwarder.start()
    try:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            yield Scene(forwarder, stack, said)
    finally:
        await forwarder.stop()
