"""httpx over the ways to a host: our dialer, our proxies, our words for what fails.

One for one download: connections are kept while it lasts. Whatever is raised is a
NetworkError, also while a body is read. Loaded late, as httpx and httpcore are.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import httpcore
import httpx

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import failures, forward, gateway, refusals, rescue, routes
from pyodide_offline.network.backend import Dialing
from pyodide_offline.network.remembered import Remembered
from pyodide_offline.network.rescue import NoAddressError
from pyodide_offline.network.routes import Facts, Way
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session

ADDRESSES = 3  # of those that DNS over HTTPS knows
# Why an address must not be asked that the name of an origin (a URL) led to; "" if it may.
Peer = Callable[[str, str], str]


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """As an address, with the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"


class Transport(httpx.BaseTransport):
    """``trust`` makes a context for TLS; a new one each time, httpcore changes them.

    ``peer`` is asked of each address that is connected to directly, before anything is sent.
    """

    def __init__(
        self, session: Session, trust: Callable[[], ssl.SSLContext], peer: Peer | None = None
    ) -> None:
        self._session = session
        self._peer = peer
        self._trust = trust
        self._upstreams = Upstreams(session)
        self._pools: dict[tuple[_Origin, Way], httpcore.ConnectionPool] = {}
        self._taken: dict[_Origin, Way] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request by the first way that leads to its host. Raises NetworkError."""
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise NetworkError(
                f"{url.copy_with(userinfo=b'', query=None)} is not a usable address."
            )
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        origin = _Origin(url.scheme, url.raw_host.decode("ascii"), port)
        if taken := self._taken.pop(origin, None):
            try:
                answer = self._sent(taken, origin, request)
            except _UnreachedError as error:
                raise error.said from error.said.__cause__
            self._taken[origin] = taken
            return answer
        return self._first(origin, request)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _first(self, origin: _Origin, request: httpx.Request) -> httpx.Response:
        """Try the ways in their order; keep to the one that works."""
        upstreams = self._upstreams.for_target(*origin)
        memory = Remembered(self._session.store, gateway.identity(), upstreams)
        worked = memory.find(origin.host)
        ways = routes.ways(Facts(origin.host, upstreams, worked=worked))
        failed: list[NetworkError] = []
        beside: list[str] = []
        last: tuple[Way, str] | None = None
        for way in ways:
            if (last and not routes.mends(*last, way)) or _pointless(way, origin):
                continue
            try:
                several = self._addressed(way, origin.host)
            except NoAddressError as error:
                beside.append(f"DNS over HTTPS does not help: {error}.")
                continue
            for one in several:
                try:
                    answer = self._sent(one, origin, request)
                except _UnreachedError as error:
                    last = way, error.said.kind
                    if one.address:
                        beside.append(f"At {one.address}: {error.said.what}")
                    else:
                        failed.append(error.said)
                else:
                    self._taken[origin] = one
                    self._note(one, origin, first=way == ways[0])
                    self._remember(memory, way, worked, Facts(origin.host, upstreams))
                    return answer
        said = refusals.last_of(failed) if len(failed) > 1 else failed[0]
        why = " ".join(part for part in (said.why, *beside[:2]) if part)
        raise NetworkError(said.what, why=why, next_step=said.next_step, kind=said.kind)

    def _addressed(self, way: Way, host: str) -> list[Way]:
        """Return a way by address once for each address. Raises NoAddressError."""
        if way.kind not in routes.BY_ADDRESS:
            return [way]
        found, source = rescue.addresses(self._session, host, proxied=way.upstream is not None)
        reason = f"{way.reason} {source} does."
        return [replace(way, address=one, reason=reason) for one in found[:ADDRESSES]]

    def _note(self, way: Way, origin: _Origin, *, first: bool) -> None:
        if self._session.verbose or not first:
            self._session.progress.note(f"{origin.host}: {way}. {way.reason}")

    def _remember(self, memory: Remembered, way: Way, worked: str, facts: Facts) -> None:
        if way.key == worked:
            return
        if way.key != routes.ways(facts)[0].key:
            memory.keep(facts.host, way.key)
        elif worked:
            memory.forget(facts.host)

    def _sent(self, way: Way, origin: _Origin, request: httpx.Request) -> httpx.Response:
        try:
            return self._by(way, origin, request)
        except NetworkError as error:
            raise _UnreachedError(error) from error
        except _BROKEN as error:  # the host was reached: another way would not mend that
            raise self._explained(error, request, way) from error

    def _by(self, way: Way, origin: _Origin, request: httpx.Request) -> httpx.Response:
        made = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=origin.scheme,
                host=origin.host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        pool = self._pool(way, origin)
        if way.upstream is not None and _forwarded(way, origin):
            environ = self._session.environ
            answer = forward.send(pool, made, way.upstream, environ=environ)
        else:
            answer = pool.handle_request(made)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer, lambda error: self._explained(error, request, way)),
            extensions=answer.extensions,
        )

    def _explained(self, error: Exception, request: httpx.Request, way: Way) -> NetworkError:
        environ = self._session.environ
        return failures.explain(error, str(request.url), way.upstream, environ=environ)

    def _pool(self, way: Way, origin: _Origin) -> httpcore.ConnectionPool:
        if (origin, way) not in self._pools:
            upstreams = [] if way.upstream is None or _forwarded(way, origin) else [way.upstream]
            secure = any(one.scheme == "https" for one in upstreams)
            backend = Dialing(
                upstreams,
                environ=self._session.environ,
                address=way.address,
                trust=self._trust() if secure else None,
                peer=partial(self._peer, origin.url) if self._peer else None,
            )
            # One connection: a login may belong to it (NTLM).
            self._pools[origin, way] = httpcore.ConnectionPool(
                ssl_context=self._trust(), max_connections=1, network_backend=backend
            )
        return self._pools[origin, way]


class _UnreachedError(Exception):
    """A way that does not lead to the host; ``said`` is why."""

    def __init__(self, said: NetworkError) -> None:
        super().__init__(said.what)
        self.said = said


class _Body(httpx.SyncByteStream):
    def __init__(
        self, answer: httpcore.Response, explain: Callable[[Exception], NetworkError]
    ) -> None:
        self._answer = answer
        self._explain = explain

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_stream()
        except _BROKEN as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._answer.close()


_BROKEN = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def _pointless(way: Way, origin: _Origin) -> bool:
    """Say whether a way by address cannot be gone, so that no resolver need be asked."""
    if way.kind == "proxy-address":
        return _forwarded(way, origin)
    return way.kind == "direct-address" and not gateway.leads_out()


def _forwarded(way: Way, origin: _Origin) -> bool:
    """Say whether the proxy gets the request itself, and not a CONNECT."""
    upstream = way.upstream
    return origin.scheme == "http" and upstream is not None and upstream.scheme in ("http", "https")
