"""Names → addresses, by the system's resolver and by DNS over HTTPS, alone or side by side."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import doh, lookup, resolvers
from pyodide_offline.network.agreement import View, sentence
from pyodide_offline.network.answers import ADDRESSES, NXDOMAIN, TYPES, Answer, canonical
from pyodide_offline.network.dnscache import DnsCache
from pyodide_offline.session import Session

__all__ = ["ADDRESSES", "POLICIES", "TYPES", "Comparison", "Found", "Line", "canonical"]

SYSTEM_FIRST, SECURE = "auto", "secure"
POLICIES = (SYSTEM_FIRST, SECURE)
SECONDS = 40.0  # for a whole command, whatever happens


@dataclass(frozen=True)
class Line:
    """One record: ``ttl`` in seconds (the system tells none), ``ms`` until it was there."""

    name: str
    type: str
    value: str
    ttl: int | None
    source: str
    ms: float


@dataclass(frozen=True)
class Found:
    """What is known of a name; ``reasons`` say why something is missing."""

    name: str
    lines: tuple[Line, ...]
    reasons: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IPv4 and IPv6 addresses, in order."""
        return tuple(line.value for line in self.lines if line.type in ADDRESSES)


@dataclass(frozen=True)
class Comparison:
    """What each way answers of a name, and one sentence on it."""

    name: str
    views: tuple[View, ...]
    sentence: str


@dataclass(frozen=True)
class How:
    """What is asked for and of whom: ``resolvers`` as templates, ``direct`` past the proxy."""

    types: tuple[str, ...] = ADDRESSES
    policy: str = SYSTEM_FIRST
    resolvers: tuple[str, ...] = ()
    direct: bool = False


def resolve(session: Session, names: Sequence[str], how: How) -> list[Found]:
    """Return what is found of each name, in order.

    Raises NetworkError if nothing is found because no resolver could be reached,
    SettingsError for a resolver that is none.
    """
    chosen = resolvers.chosen(how.resolvers)
    way = doh.DIRECT if how.direct else doh.AUTO
    scope = sha256(repr((chosen, way)).encode()).hexdigest()[:12]
    cache = DnsCache(session.store, scope)
    secure = _Secure(doh.Asker(session, chosen, way), cache)

    async def every() -> list[Found]:
        async with secure.asker:
            return await asyncio.gather(*(_one(name, how, secure) for name in names))

    found = lookup.run(every, SECONDS)
    cache.save()
    if secure.unreachable and not any(one.lines for one in found):
        raise secure.unreachable
    return found


def compare(session: Session, names: Sequence[str], how: How) -> list[Comparison]:
    """Ask the system, DoH and DoH through the proxy for each name's addresses.

    Nothing is taken from the cache. Raises NetworkError if no way leads to anything.
    """
    chosen = resolvers.chosen(how.resolvers)
    named = any(doh.upstreams(session, chosen, doh.PROXY))
    askers = {"DoH": doh.Asker(session, chosen, doh.DIRECT)}
    if named:
        askers["DoH through the proxy"] = doh.Asker(session, chosen, doh.PROXY)
    unreachable: list[NetworkError] = []

    async def over(way: str, name: str) -> View:
        cached = _Secure(askers[way], None)
        found = await _by_doh(name, ADDRESSES, cached)
        if cached.unreachable:
            unreachable.append(cached.unreachable)
        return View(way, found.addresses, "; ".join(found.reasons), bool(cached.unreachable))

    async def every() -> list[list[View]]:
        async with askers["DoH"], askers.get("DoH through the proxy", _Nothing()):
            return await asyncio.gather(
                *(
                    asyncio.gather(_system_view(name), *(over(way, name) for way in askers))
                    for name in names
                )
            )

    views = lookup.run(every, SECONDS)
    if unreachable and not any(view.addresses for row in views for view in row):
        raise unreachable[0]
    return [
        Comparison(name, tuple(row), sentence(name, row))
        for name, row in zip(names, views, strict=True)
    ]


class _Nothing:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


@dataclass
class _Secure:
    """The door to DoH, what it answered before, and why nobody is there."""

    asker: doh.Asker
    cache: DnsCache | None
    unreachable: NetworkError | None = None


async def _one(name: str, how: How, secure: _Secure) -> Found:
    reasons: tuple[str, ...] = ()
    types = how.types
    lines: tuple[Line, ...] = ()
    if how.policy == SYSTEM_FIRST and set(types) & set(ADDRESSES):
        by_system = await _by_system(name)
        wanted = tuple(line for line in by_system.lines if line.type in types)
        if wanted:
            # The system is only asked for addresses: other types have to come over HTTPS.
            lines, types = wanted, tuple(one for one in types if one not in ADDRESSES)
        reasons = by_system.reasons
    if not types:
        return Found(name, lines, reasons)
    by_doh = await _by_doh(name, types, secure)
    lines += by_doh.lines
    return Found(name, lines, (*reasons, *by_doh.reasons))


async def _by_system(name: str) -> Found:
    began = time.monotonic()
    try:
        addresses = await lookup.addresses(name)
    except NetworkError as error:
        return Found(name, (), (f"the system: {error.what}",))
    ms = (time.monotonic() - began) * 1000
    return Found(
        name,
        tuple(
            Line(name, "AAAA" if ":" in address else "A", address, None, "system", ms)
            for address in addresses
        ),
    )


async def _system_view(name: str) -> View:
    found = await _by_system(name)
    reason = "; ".join(found.reasons).removeprefix("the system: ")
    return View("system", found.addresses, reason)


async def _by_doh(name: str, types: Sequence[str], secure: _Secure) -> Found:
    lines: list[Line] = []
    reasons: list[str] = []
    for part in await asyncio.gather(*(_question(name, kind, secure) for kind in types)):
        # The CNAMEs of a name come with each type.
        seen = {(line.name, line.type, line.value) for line in lines}
        lines += [line for line in part.lines if (line.name, line.type, line.value) not in seen]
        reasons += part.reasons
    missing = [] if any(line.type in types for line in lines) else reasons
    return Found(name, tuple(lines), tuple(dict.fromkeys(missing)))


async def _question(name: str, kind: str, secure: _Secure) -> Found:
    if kept := secure.cache.find(name, kind) if secure.cache else None:
        return _said(kept[0], f"{kept[1]}, kept", 0.0)
    try:
        reply = await secure.asker.ask(name, kind)
    except doh.ResolverFailedError as error:
        said = "; ".join(f"{who}: {reason}" for who, reason in error.reasons.items())
        return Found(name, (), (said,))
    except NetworkError as error:
        secure.unreachable = error
        return Found(name, (), (f"{error.what} {error.why}".strip(),))
    if secure.cache:
        secure.cache.keep(reply.answer, reply.source)
    return _said(reply.answer, reply.source, reply.ms)


def _said(answer: Answer, source: str, ms: float) -> Found:
    lines = tuple(
        Line(one.owner, one.type, one.value, one.ttl, source, ms) for one in answer.records
    )
    missing = "there is no such name" if answer.nothing == NXDOMAIN else f"no {answer.type} record"
    reason = f"{source}: {missing}{f' ({NXDOMAIN})' if answer.nothing == NXDOMAIN else ''}"
    return Found(answer.name, lines, (reason,) if answer.nothing else ())
