"""Dials a tunnel's targets: through the proxies that were found for each, or directly.

Never this machine's own listeners, to which our lines in the hosts file lead.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect
from pyodide_offline.network.plane import Far
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.targets import Listen, Naming, Target
from pyodide_offline.network.ways import Ways
from pyodide_offline.session import Session

_KEPT_AT_LEAST = 30.0  # seconds, for an address and for an error


@dataclass(frozen=True)
class _Kept:
    addresses: list[str]
    until: float
    failed: NetworkError | None = None


class Dialer:
    """Dials; ``listening`` are the addresses of the tunnel itself.

    Names are the proxy's to look up, or the system's. Where these do not find one, its
    address comes from DNS over HTTPS.
    """

    def __init__(self, session: Session, ways: Ways, naming: Naming | None = None) -> None:
        self._session, self._ways = session, ways
        self._naming = naming or Naming()
        self._known: dict[Target, list[str]] = {}
        self._kept: dict[str, _Kept] = {}
        self._unnamed: set[Target] = set()
        self._asking = asyncio.Lock()
        self.listening: Sequence[tuple[str, int]] = ()

    def resolve(self) -> None:
        """Look up the targets that are dialled directly, before hosts lines hide them."""
        for target, upstreams in self._ways.items():
            if not upstreams or any(one.scheme == "direct" for one in upstreams):
                self._known[target] = _addresses(target)

    async def dial(self, target: Target) -> Far:
        """Connect to a target. Raises NetworkError."""
        ways = self._ways[target]
        # DIRECT among a PAC file's proxies: never by the system's address alone, which our
        # hosts lines have made this tunnel's own.
        proxies = [one for one in ways if one.scheme != "direct"]
        if not proxies:
            return await self._directly(target)
        try:
            return await self._by_proxy(target, proxies)
        except NetworkError:
            if len(proxies) == len(ways):
                raise
        return await self._directly(target)

    async def _by_proxy(self, target: Target, upstreams: Sequence[Upstream]) -> Far:
        if _is_address(target.host):
            return await self._connect(target.host, target, upstreams)
        if self._naming.by_address:
            return await self._first(await self._over_https(target.host), target, upstreams)
        if target in self._unnamed:
            with suppress(NetworkError):
                return await self._first(await self._over_https(target.host), target, upstreams)
        try:
            return await self._connect(target.host, target, upstreams)
        except NetworkError as error:
            # 502 to 504: it may be that the proxy cannot look names up.
            if error.kind != "unreached" or target in self._unnamed:
                raise
            try:
                found = await self._over_https(target.host)
                far = await self._first(found, target, upstreams)
            except NetworkError:
                raise error from None
            self._unnamed.add(target)
            return far

    async def _directly(self, target: Target) -> Far:
        if _is_address(target.host):
            return await self._connect(target.host, target, ())
        found = [] if self._naming.by_address else self._known.get(target)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(None, _addresses, target)
        others, own = found, " but this tunnel's own"
        if target.port in {port for _, port in self.listening}:
            others = [one for one in found if not Listen(one).loopback]
        if not others:
            try:
                others = await self._over_https(target.host)
            except NetworkError as error:
                raise NetworkError(
                    f"{target} has no address{own if found else ''}.",
                    why=f"This system knows none. Over HTTPS: {error.what}",
                    next_step="Name a proxy with --proxy: it looks the name up itself.",
                    kind="name",
                ) from error
        return await self._first(others, target, ())

    async def _first(
        self, addresses: Sequence[str], target: Target, upstreams: Sequence[Upstream]
    ) -> Far:
        """Connect to the first address that works."""
        failed = NetworkError(f"{target.host} has no address.", kind="name")
        for address in addresses:
            try:
                return await self._connect(address, target, upstreams)
            except NetworkError as error:
                failed = error
        raise failed

    async def _over_https(self, host: str) -> list[str]:
        """Return what DNS over HTTPS says, kept as long as that may be. Raises NetworkError."""
        async with self._asking:  # many connections at once ask once
            kept = self._kept.get(host)
            if kept is None or time.monotonic() >= kept.until:
                try:
                    found, ttl = await self._ask(host)
                    kept = _Kept(found, time.monotonic() + max(ttl, _KEPT_AT_LEAST))
                except NetworkError as error:
                    kept = _Kept([], time.monotonic() + _KEPT_AT_LEAST, error)
                self._kept[host] = kept
        if kept.failed:
            raise kept.failed
        return kept.addresses

    async def _ask(self, host: str) -> tuple[list[str], int]:
        from pyodide_offline.network import doh, resolvers

        chosen = resolvers.chosen(self._naming.resolvers)
        found, ttls = [], []
        failed: NetworkError | None = None
        async with doh.Asker(self._session, chosen) as asker:
            for kind in ("A", "AAAA"):
                try:
                    answer = (await asker.ask(host, kind)).answer
                except doh.ResolverFailedError as error:
                    failed = NetworkError(f"The resolvers answer {error.rcode} for {host}.")
                except NetworkError as error:
                    failed = error
                else:
                    found += [one.value for one in answer.records if one.type == kind]
                    ttls.append(answer.ttl)
        if failed and not ttls:
            raise failed
        if not found:
            raise NetworkError(f"{host} has no address there.", kind="name")
        return found, min(ttls)

    async def _connect(self, host: str, target: Target, upstreams: Sequence[Upstream]) -> Far:
        dialed = await connect.dial(host, target.port, upstreams, environ=self._session.environ)
        return Far(dialed.socket, dialed.streams, dialed.early)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(target: Target) -> list[str]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[0]).partition("%")[0] for *_, address in found]
