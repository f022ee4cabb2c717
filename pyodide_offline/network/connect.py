"""The one dialer: a connected socket to a target, directly or through the user's proxies.

Every proxy gets ``timeout`` seconds for all of it: name, connection, TLS, CONNECT, login.
They are tried in order; the error of the last one is raised, with a word on those before
it. The protocol is in ``handshake`` and ``login``, the words are in ``refusals``.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from pyodide_offline import __version__
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import credentials, refusals, sockets, socks
from pyodide_offline.network.handshake import Established, Event, Handshake, Refused
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.sockets import Blocking, Link, Raw, Secure, Streams

TIMEOUT = 10.0  # seconds a proxy
AGENT = f"pyodide-offline/{__version__}"
CONNECTIONS = 4  # fresh ones that a proxy may ask for in one login
LOCKOUT = Lockout()  # one a process: that an account is not locked is not one dial's matter
# What an error means once the proxy has taken the connection.
_AFTER_CONNECT: Mapping[refusals.Kind, refusals.Kind] = {
    "silent": "mute",
    "other": "broken",
    "refused": "broken",
}


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
    lockout: Lockout = LOCKOUT,
) -> Dialed:
    """Connect to a target through the first proxy that lets it through; none: directly.

    ``environ`` holds the login variables and HOME, ``family`` limits the addresses that
    are connected to (AF_INET, AF_INET6), ``trust`` is for TLS to the proxy. Raises
    NetworkError; SettingsError for a .netrc that cannot be read.
    """
    return await _dial(
        _Attempt(host, port, environ, timeout, family, trust, lockout, blocking=False), upstreams
    )


def dial_sync(
    host: str,
    port: int,
    upstreams: Sequence[Upstream],
    *,
    environ: Mapping[str, str],
    timeout: float = TIMEOUT,
    family: int = 0,
    trust: ssl.SSLContext | None = None,
    lockout: Lockout = LOCKOUT,
) -> Dialed:
    """Do the same for a thread without a loop; ``socket`` is a blocking one, and always there.

    Where the proxy speaks TLS it is an ssl.SSLSocket.
    """
    attempt = _Attempt(host, port, environ, timeout, family, trust, lockout, blocking=True)
    dialed = asyncio.run(_dial(attempt, upstreams))
    if dialed.socket is not None:
        dialed.socket.settimeout(None)
    return dialed


@dataclass(frozen=True)
class _Attempt:
    """What a call asked for. ``blocking``: TLS on a blocking socket, no streams."""

    host: str
    port: int
    environ: Mapping[str, str]
    timeout: float
    family: int
    trust: ssl.SSLContext | None
    lockout: Lockout
    blocking: bool


async def _dial(attempt: _Attempt, upstreams: Sequence[Upstream]) -> Dialed:
    failed: list[NetworkError] = []
    for upstream in upstreams or (None,):
        way = _way(attempt, upstream)
        try:
            async with asyncio.timeout(attempt.timeout):
                return await way.open()
        except ssl.SSLCertVerificationError as error:
            assert upstream is not None  # noqa: S101 - for mypy: the TLS here is the proxy's
            failed.append(await asyncio.to_thread(untrusted, error, upstream, attempt.environ))
        except OSError as error:  # TimeoutError is one
            made = way.explain(error)
            made.__cause__ = error
            failed.append(made)
        except NetworkError as error:
            failed.append(error)
    raise refusals.last_of(failed) if len(failed) > 1 else failed[0]


def _way(attempt: _Attempt, upstream: Upstream | None) -> "_Direct | _Http | _Socks":
    if upstream is None or upstream.scheme == "direct":
        return _Direct(attempt)
    return (_Socks if upstream.scheme.startswith("socks") else _Http)(attempt, upstream)


class _Direct:
    """The way to the target itself."""

    def __init__(self, attempt: _Attempt) -> None:
        self._attempt = attempt

    async def open(self) -> Dialed:
        """Return the connection. Raises OSError."""
        attempt = self._attempt
        return Dialed(await sockets.open_raw(attempt.host, attempt.port, attempt.family))

    def explain(self, error: OSError) -> NetworkError:
        """Return the error for a connection that failed or took too long."""
        return refusals.unreachable(self._attempt.host, self._attempt.port, None, *kind_of(error))


class _Http:
    """One way through one http or https proxy."""

    def __init__(self, attempt: _Attempt, upstream: Upstream) -> None:
        self._attempt = attempt
        self._upstream = upstream
        self._connected = False
        try:
            self._handshake = Handshake(
                attempt.host,
                attempt.port,
                credentials=lambda: credentials.find(upstream, attempt.environ),
                proxy_host=upstream.host,
                agent=AGENT,
                scheme=attempt.lockout.scheme(upstream),
            )
        except ValueError as error:
            raise NetworkError(f"{attempt.host!r} is not a host name.") from error

    async def open(self) -> Dialed:
        """Return the tunnel. Raises OSError, NetworkError."""
        for _ in range(CONNECTIONS):
            link = await self._link()
            try:
                event = await self._converse(link)
            except BaseException:
                link.close()
                raise
            if isinstance(event, Established):
                return self._dialed(link, event.early)
            link.close()
            if isinstance(event, Refused):
                raise self._refused(event)
        raise self._refused(Refused(407, problem="It wants a fresh connection again and again."))

    def explain(self, error: OSError) -> NetworkError:
        """Return the error for a connection that failed or took too long."""
        if self._handshake.pending is not None:  # its head had come, the rest had not
            return self._refused(self._handshake.pending)
        kind, reason = kind_of(error)
        if self._connected:
            kind = _AFTER_CONNECT.get(kind, kind)
        return refusals.unreachable(
            self._attempt.host, self._attempt.port, self._upstream, kind, reason
        )

    async def _link(self) -> Link:
        self._connected = False
        upstream, attempt = self._upstream, self._attempt
        connected = await sockets.open_raw(upstream.host, upstream.port, attempt.family)
        try:
            if upstream.scheme == "http":
                link: Link = Raw(connected)
            elif attempt.blocking:
                connected.settimeout(attempt.timeout)
                link = Blocking(connected, upstream.host, self._trust())
            else:
                link = await Secure.over(connected, upstream.host, self._trust())
        except BaseException:
            connected.close()
            raise
        self._connected = True
        return link

    def _trust(self) -> ssl.SSLContext:
        from pyodide_offline.network import trust

        return self._attempt.trust or trust.context(self._attempt.environ, note=lambda _: None)

    async def _converse(self, link: Link) -> Event:
        """Talk until something is decided; hold the trial of a password that is new."""
        async with AsyncExitStack() as held:
            trying = False
            while True:
                out = self._handshake.bytes_to_send()
                known = self._handshake.login.credentials
                if self._handshake.login.proving and known is not None and not trying:
                    trial = self._attempt.lockout.trial(self._upstream, known)
                    await held.enter_async_context(trial)
                    trying = True
                if out:
                    await link.send(out)
                for event in self._handshake.receive_data(await link.receive()):
                    self._remember(event)
                    return event

    def _remember(self, event: Event) -> None:
        known, scheme = self._handshake.login.credentials, self._handshake.login.scheme
        if known is None or not scheme:
            return
        if isinstance(event, Refused) and event.login == "refused":
            self._attempt.lockout.failed(self._upstream, known, self._refused(event))
        elif isinstance(event, Established) or (
            # No to the target, after the login: that was taken.
            isinstance(event, Refused)
            and event.status not in (0, 407)
            and self._handshake.login.proving
        ):
            self._attempt.lockout.went_well(self._upstream, known, scheme)

    def _refused(self, event: Refused) -> NetworkError:
        if event.login == "missing":
            credentials.missed(self._upstream)
        return refusals.refused(self._attempt.host, self._attempt.port, self._upstream, event)

    def _dialed(self, link: Link, early: bytes) -> Dialed:
        if isinstance(link, Secure):
            return Dialed(None, early, self._upstream, tls=True, streams=link.streams)
        assert isinstance(link, Raw | Blocking)  # noqa: S101 - for mypy
        return Dialed(link.socket, early, self._upstream, tls=isinstance(link, Blocking))


class _Socks:
    """One way through one SOCKS proxy."""

    def __init__(self, attempt: _Attempt, upstream: Upstream) -> None:
        self._attempt = attempt
        self._upstream = upstream

    async def open(self) -> Dialed:
        """Return the tunnel. Raises OSError, NetworkError."""
        upstream, attempt = self._upstream, self._attempt
        found = credentials.find(upstream, attempt.environ)
        known = found if found and found.user else None
        async with AsyncExitStack() as held:
            if known is not None:
                await held.enter_async_context(attempt.lockout.trial(upstream, known))
            try:
                made = await socks.connect(
                    upstream, attempt.host, attempt.port, known, attempt.family
                )
            except socks.SocksRefusedError as error:
                explained = refusals.socks(
                    attempt.host,
                    attempt.port,
                    upstream,
                    error.reason,
                    login=error.login,
                    missing=error.missing,
                    source=known.source if known else "",
                )
                if error.missing:
                    credentials.missed(upstream)
                if error.login and known is not None:
                    attempt.lockout.failed(upstream, known, explained)
                raise explained from error
            if known is not None:
                attempt.lockout.went_well(upstream, known, "socks5")
        return Dialed(made, upstream=upstream)

    def explain(self, error: OSError) -> NetworkError:
        """Return the error for a connection that failed or took too long."""
        if isinstance(error, socks.TargetNameError):
            return refusals.target_name(self._attempt.host, self._upstream)
        return refusals.unreachable(
            self._attempt.host, self._attempt.port, self._upstream, *kind_of(error)
        )


def untrusted(
    error: ssl.SSLCertVerificationError, upstream: Upstream, environ: Mapping[str, str]
) -> NetworkError:
    """Return the error for the certificate of a proxy, after a look at it."""
    from pyodide_offline.network import witness

    return witness.explain(
        error,
        f"the proxy {upstream}",
        upstream.host,
        upstream.port,
        environ=environ,
        way=f"{upstream.origin} names it.",
    )


def kind_of(error: OSError) -> tuple[refusals.Kind, str]:
    """Return what a failed connection means, and the words of the library for it."""
    if isinstance(error, socket.gaierror):
        return "dns" if error.errno == socket.EAI_AGAIN else "name", ""
    if isinstance(error, ssl.SSLError):
        return "tls", error.reason or str(error)
    if isinstance(error, TimeoutError):
        return "silent", ""
    if isinstance(error, ConnectionRefusedError):
        return "refused", ""
    if error.errno in sockets.ROUTELESS:
        return "routeless", error.strerror or str(error)
    return "other", error.strerror or str(error)
