"""The one dialer: a connected socket to a target, directly or through the user's proxies.

Every proxy gets ``timeout`` seconds for all of it: name, connection, TLS, CONNECT. They
are tried in order; the error of the last one is raised, with a word on those before it.
The protocol is in ``handshake``, the words are in ``refusals``.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyodide_offline import __version__
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import login, refusals
from pyodide_offline.network.handshake import Established, Handshake, Reconnect, Refused
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.sockets import Link, Raw, open_raw

TIMEOUT = 10.0  # seconds a proxy
AGENT = f"pyodide-offline/{__version__}"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Dialed:
    """A way to the target, and how it was got.

    Either ``socket`` (non-blocking, connected, TCP_NODELAY) or, where the proxy itself
    speaks TLS (``tls``), ``streams``. ``early`` are bytes of the target that came with the
    proxy's answer: they come before anything that is read now. ``upstream`` None: direct.
    """

    socket: socket.socket | None
    early: bytes = b""
    upstream: Upstream | None = None
    tls: bool = False
    streams: Streams | None = field(default=None, repr=False)

    def close(self) -> None:
        """Close what is open."""
        if self.socket is not None:
            self.socket.close()
        if self.streams is not None:
            self.streams[1].close()


async def dial(
    host: str,
    port: int,
    upstreams: Sequence[Upstream],
    *,
    environ: Mapping[str, str],
    timeout: float = TIMEOUT,
    family: int = 0,
    trust: ssl.SSLContext | None = None,
) -> Dialed:
    """Connect to a target through the first proxy that lets it through; none: directly.

    ``environ`` holds the login variables and HOME, ``family`` limits the addresses that
    are connected to (AF_INET, AF_INET6), ``trust`` is for TLS to the proxy. Raises
    NetworkError.
    """
    if not upstreams:
        try:
            async with asyncio.timeout(timeout):
                return Dialed(await open_raw(host, port, family))
        except OSError as error:  # TimeoutError is one
            raise refusals.unreachable(host, port, None, error) from error
    failed: list[NetworkError] = []
    for upstream in upstreams:
        try:
            async with asyncio.timeout(timeout):
                return await _through(upstream, host, port, environ, family, trust)
        except OSError as error:
            failed.append(refusals.unreachable(host, port, upstream, error))
        except NetworkError as error:
            failed.append(error)
    raise refusals.last_of(failed)


def dial_sync(
    host: str,
    port: int,
    upstreams: Sequence[Upstream],
    *,
    environ: Mapping[str, str],
    timeout: float = TIMEOUT,
    family: int = 0,
    trust: ssl.SSLContext | None = None,
) -> Dialed:
    """Do the same for callers without a loop. Not for a thread in which one runs.

    A proxy that speaks TLS itself is refused: its streams end with the loop.
    """
    return asyncio.run(
        dial(host, port, upstreams, environ=environ, timeout=timeout, family=family, trust=trust)
    )


async def _through(
    upstream: Upstream,
    host: str,
    port: int,
    environ: Mapping[str, str],
    family: int,
    trust: ssl.SSLContext | None,
) -> Dialed:
    handshake = Handshake(
        host,
        port,
        credentials=lambda: login.find(upstream, environ),
        proxy_host=upstream.host,
        agent=AGENT,
    )
    _ = trust
    while True:
        link: Link = Raw(await open_raw(upstream.host, upstream.port, family))
        try:
            event = await _converse(link, handshake)
        except BaseException:
            link.close()
            raise
        if isinstance(event, Established):
            return Dialed(link.socket, event.early, upstream)
        link.close()
        if isinstance(event, Refused):
            raise refusals.refused(host, port, upstream, event)


async def _converse(link: Link, handshake: Handshake) -> Established | Reconnect | Refused:
    while True:
        if out := handshake.bytes_to_send():
            await link.send(out)
        for event in handshake.receive_data(await link.receive()):
            return event
