"""Connections that stay in our hands: plain sockets under asyncio, with or without TLS."""

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

CHUNK = 65536
PATIENCE = 2.5  # seconds for an address, while there is another one
# Seconds for a name: where the first name server is dead, the second one has answered by then.
LOOKUP = 6.5
ROUTELESS = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}
FOREVER = 86400.0  # for callees whose own limit must not come before ours
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Link(Protocol):
    """One connection to a proxy."""

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


class Secure:
    """A link with TLS, as asyncio's streams."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams

    @classmethod
    async def over(cls, connected: socket.socket, host: str, context: ssl.SSLContext) -> "Secure":
        """Do TLS's handshake over a connection. Raises OSError."""
        return cls(await asyncio.open_connection(sock=connected, ssl=context, server_hostname=host))

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self.streams[1].write(data)
        await self.streams[1].drain()

    async def receive(self) -> bytes:
        """Return what came; b"" is the end."""
        return await self.streams[0].read(CHUNK)

    def close(self) -> None:
        """Close it at once: an answer to our end of TLS is not waited for."""
        self.streams[1].transport.abort()


class Blocking:
    """A link with TLS as a socket that blocks, for a loop that no one else uses."""

    def __init__(self, connected: socket.socket, host: str, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(connected, server_hostname=host)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    async def receive(self) -> bytes:
        """Return what came; b"" is the end."""
        return self.socket.recv(CHUNK)

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()


async def open_raw(host: str, port: int, family: int = 0) -> socket.socket:
    """Return a connected, non-blocking socket with TCP_NODELAY. Raises OSError.

    A name is looked up for LOOKUP seconds at most. Its addresses are tried in the system's
    order (RFC 6724), each but the last for PATIENCE seconds. The last one's error counts,
    but for one that had no route: many a machine has none for IPv6.
    """
    loop = asyncio.get_running_loop()
    found = await resolve(host, port, family)
    problem: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    for number, (kind, sort, protocol, _, address) in enumerate(found, 1):
        made = socket.socket(kind, sort, protocol)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(PATIENCE if number < len(found) else None):
                await loop.sock_connect(made, address)
        except OSError as error:  # TimeoutError is one
            made.close()
            if number == 1 or error.errno not in ROUTELESS:
                problem = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem


async def resolve(host: str, port: int, family: int = 0) -> Sequence[_Found]:
    """Return what getaddrinfo says. Raises socket.gaierror, also after LOOKUP seconds.

    In a thread that nothing waits for: a resolver that hangs must not outlast a timeout,
    as it would in the loop's own pool, which is joined when the loop ends.
    """
    with suppress(OSError, UnicodeError):  # an address needs no resolver, and so no thread
        return socket.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[_Found]] = loop.create_future()

    def tell(result: Sequence[_Found] | None, error: OSError | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result or [])

    def work() -> None:
        result: Sequence[_Found] | None = None
        problem: OSError | None = None
        try:
            result = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except OSError as error:
            problem = error
        except UnicodeError:  # a label that is empty or too long (RFC 5890 §2.3.1)
            problem = socket.gaierror(socket.EAI_NONAME, "this is not a host name")
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, result, problem)

    threading.Thread(target=work, daemon=True, name=f"resolve {host}").start()
    try:
        async with asyncio.timeout(LOOKUP):
            return await answer
    except TimeoutError as error:
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers") from error
