"""A connection to where a worker wants to go: by proxy or directly, with TLS where it is asked.

What workerd's configuration allows is held here. A name is looked up once, and it is the
address so found that is checked and connected to. Where a proxy looks the name up, only
an address that stands in the URL itself can be checked. This machine is never reached
through a proxy: what listens on its loopback is not the proxy's to see.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect, permits, refusals, sockets
from pyodide_offline.network.connect import Dialed
from pyodide_offline.network.hops import Target
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.permits import Permits
from pyodide_offline.network.proxies import Upstream

CHUNK = 65536
TLS_TIMEOUT = 10.0  # seconds for TLS's handshake

Ways = Callable[[Target], Sequence[Upstream]]


@dataclass(frozen=True)
class Connection:
    """An open one. ``early`` comes before anything that is read from it.

    ``under``: what has to live as long as it does.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    early: bytes = b""
    under: object = field(default=None, repr=False)

    def close(self) -> None:
        """Close it once what was written has gone."""
        # A TLS transport of Python 3.11.2 that is closed twice cannot be aborted any more.
        if not self.writer.transport.is_closing():
            self.writer.close()

    def abort(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


@dataclass(frozen=True)
class Outbound:
    """How to get out. ``ways`` names the proxies for a target, ``trust`` whom TLS believes."""

    permits: Permits
    ways: Ways
    trust: Callable[[], ssl.SSLContext]
    environ: Mapping[str, str]
    lockout: Lockout = connect.LOCKOUT

    async def open(self, target: Target) -> Connection:
        """Connect. Raises NetworkError; SettingsError for a proxy that cannot be used."""
        dialed = await self._dial(target, await self.upstreams(target))
        try:
            return await self._connection(target, dialed)
        except BaseException:
            dialed.close()
            raise

    async def upstreams(self, target: Target) -> Sequence[Upstream]:
        """Return the proxies for a target. Raises SettingsError.

        NetworkError for an address that is not allowed, whoever would connect to it.
        """
        address = permits.parse(target.host)
        if address is not None and not self.permits.allows(str(address)):
            raise _forbidden(target)
        # In a thread: a PAC file may have to be loaded, and its script look names up.
        return await asyncio.to_thread(self._upstreams, target)

    async def to_proxy(self, upstream: Upstream, target: Target) -> Connection:
        """Connect to a proxy itself, for a target that it is to be told of. Raises NetworkError."""
        place = Target(upstream.scheme, upstream.host, upstream.port)
        try:
            dialed = await connect.dial(place.host, place.port, (), environ=self.environ)
        except NetworkError as error:
            kind = cast(refusals.Kind, error.kind)
            raise refusals.unreachable(target.host, target.port, upstream, kind) from error
        try:
            return await self._connection(place, dialed)
        except BaseException:
            dialed.close()
            raise

    async def _dial(self, target: Target, upstreams: Sequence[Upstream]) -> Dialed:
        """Connect by the first way that leads there. What is direct is so under the permits."""
        failed: list[NetworkError] = []
        for way in upstreams or (None,):
            try:
                if way is None or way.scheme == "direct":
                    return await self._direct(target)
                return await connect.dial(
                    target.host, target.port, [way], environ=self.environ, lockout=self.lockout
                )
            except NetworkError as error:
                failed.append(error)
        raise refusals.last_of(failed) if len(failed) > 1 else failed[0]

    async def _direct(self, target: Target) -> Dialed:
        try:
            async with asyncio.timeout(connect.TIMEOUT):
                found = await sockets.resolve(target.host, target.port)
        except OSError as error:  # TimeoutError is one
            raise refusals.unreachable(target.host, target.port, None, "name") from error
        addresses = dict.fromkeys(str(one[-1][0]) for one in found)
        allowed = [one for one in addresses if self.permits.allows(one)]
        if not allowed:
            raise _forbidden(target)
        for number, address in enumerate(allowed, 1):
            patience = sockets.PATIENCE if number < len(allowed) else connect.TIMEOUT
            try:
                return await connect.dial(
                    address, target.port, (), environ=self.environ, timeout=patience
                )
            except NetworkError:
                if number == len(allowed):
                    raise
        raise AssertionError  # the last one has returned or raised

    async def _connection(self, target: Target, dialed: Dialed) -> Connection:
        if target.scheme != "https" and dialed.streams is not None:
            return Connection(*dialed.streams, dialed.early)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=CHUNK, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport: asyncio.Transport | None
        if target.scheme != "https":
            transport, _ = await loop.create_connection(lambda: protocol, sock=dialed.socket)
        else:
            transport = await self._secured(target, dialed, protocol)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return Connection(reader, writer, dialed.early, dialed.streams)

    async def _secured(
        self, target: Target, dialed: Dialed, protocol: asyncio.StreamReaderProtocol
    ) -> asyncio.Transport:
        """Return the transport of a connection on which TLS was agreed. Raises NetworkError."""
        if dialed.early:  # a server does not speak first in TLS
            raise refusals.unreachable(target.host, target.port, None, "tls", "unexpected bytes")
        loop, context = asyncio.get_running_loop(), self.trust()
        try:
            if dialed.streams is None:
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    sock=dialed.socket,
                    ssl=context,
                    server_hostname=target.host,
                    ssl_handshake_timeout=TLS_TIMEOUT,
                )
                return transport
            inner = await loop.start_tls(
                dialed.streams[1].transport,
                protocol,
                context,
                server_hostname=target.host,
                ssl_handshake_timeout=TLS_TIMEOUT,
            )
            if inner is None:
                raise ConnectionResetError
            protocol.connection_made(inner)
        except ssl.SSLCertVerificationError as error:
            raise await asyncio.to_thread(self._untrusted, target, error) from error
        except ssl.SSLError as error:
            reason = error.reason or str(error)
            raise refusals.unreachable(target.host, target.port, None, "tls", reason) from error
        except OSError as error:  # TimeoutError is one
            raise refusals.unreachable(target.host, target.port, None, "broken") from error
        return inner

    def _untrusted(self, target: Target, error: ssl.SSLCertVerificationError) -> NetworkError:
        from pyodide_offline.network import witness

        return witness.explain(
            error,
            target.address,
            target.host,
            target.port,
            self._upstreams(target),
            environ=self.environ,
        )

    def _upstreams(self, target: Target) -> Sequence[Upstream]:
        return () if permits.loopback(target.host) else self.ways(target)


def _forbidden(target: Target) -> NetworkError:
    return NetworkError(
        f"{target.address} is not to be reached by workers.",
        why="workerd's own configuration does not allow its address.",
    )
