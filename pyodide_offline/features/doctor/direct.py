"""The way out without a proxy: IPv4, IPv6; and whether the official bundle's host is reached."""

import asyncio
import socket
from typing import Any

from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, State, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import sockets

SECONDS = 4.0
_RUNS = ("bundle.ready", "registry.npm")


def tcp(observed: Observed) -> Finding:
    """Connect to the official bundle's host, past any proxy."""
    if skip := _mirrored(observed):
        return skip
    host = places.official(observed).host
    known = observed.evidence("dns.system").get("addresses", {}).get(host, [])
    if not known:
        return skipped(f"No address of {host} is known to the system.")
    reason = _connect(host, socket.AF_UNSPEC)
    if reason is None:
        return passed(f"{host}:443 takes connections.", addresses=known)
    return failed(
        f"{host}:443 {reason}.",
        "No proxy was used.",
        "export HTTPS_PROXY=http://host:port" if not _proxied(observed) else "",
        blame="network",
        addresses=known,
    )


def ipv6(observed: Observed) -> Finding:
    """See whether IPv6, where there is some, leads anywhere."""
    if skip := _mirrored(observed):
        return skip
    host = places.official(observed).host
    known = observed.evidence("dns.system").get("addresses", {}).get(host, [])
    if not _has_ipv6():
        return skipped("This machine has no way out by IPv6.")
    if not any(":" in one for one in known):
        return skipped(f"{host} has no IPv6 address here.")
    reason = _connect(host, socket.AF_INET6)
    if reason is None:
        return passed(f"{host}:443 takes connections over IPv6.")
    if observed.found["direct.tcp"].state is State.PASS:
        return warned(
            f"Over IPv6 {host}:443 {reason}; over IPv4 it takes connections.",
            "Programs that try IPv6 first wait for it.",
            "export NODE_OPTIONS=--dns-result-order=ipv4first",
            blame="network",
        )
    return failed(f"Over IPv6 {host}:443 {reason}.", blame="network")


def official(observed: Observed) -> Finding:
    """Ask the official bundle's host for something, the way that programs would take."""
    place = places.official(observed)
    ways = places.upstreams(observed, place)
    if stop := places.blocked(observed, place):
        return skipped(f"{place.host} is not reached: see {stop}.", needs=stop, host=place.host)
    outcome = places.outcome(observed, place)
    if (error := outcome.error) is not None:
        shown = ("stage", "reason", "code")
        evidence: dict[str, Any] = {key: error.facts[key] for key in shown if key in error.facts}
        return failed(
            error.what, error.why, error.next_step, blame="network", host=place.host, **evidence
        )
    answer = outcome.answer
    assert answer is not None  # noqa: S101 - an outcome without an error has one
    through = f" through {ways[0]}" if ways else ""
    return passed(
        f"{place.host} answers{through}.",
        host=place.host,
        status=answer.status,
        ms=round(answer.ms),
    )


def _mirrored(observed: Observed) -> Finding | None:
    """Return the SKIP of what nobody asks beside a mirror."""
    named = places.mirror(observed)
    return skipped(f"The mirror {named.url} is asked in its place.") if named else None


def _proxied(observed: Observed) -> bool:
    return bool(places.upstreams(observed, places.official(observed)))


def _connect(host: str, family: int) -> str | None:
    """Return why there is no connection, None if there is one."""

    async def connect() -> None:
        async with asyncio.timeout(SECONDS):
            (await sockets.open_raw(host, 443, family)).close()

    try:
        asyncio.run(connect())
    except TimeoutError:
        return "does not answer"
    except ConnectionRefusedError:
        return "refuses the connection"
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"
    return None


def _has_ipv6() -> bool:
    """Say whether there is a route; nothing is sent (a UDP socket only chooses one)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 443))
            address = str(probe.getsockname()[0])
    except OSError:
        return False
    return not address.startswith(("fe80:", "::1"))


CHECKS = (
    Check(
        "direct.tcp",
        "Is the bundle's host reached without a proxy?",
        tcp,
        needs=("dns.system",),
        unneeded_with=("proxy.tunnel",),
        spared_by=_RUNS,
        remote=True,
    ),
    Check(
        "direct.ipv6",
        "Does IPv6 lead anywhere?",
        ipv6,
        needs=("dns.system",),
        after=("direct.tcp",),
        unneeded_with=("proxy.tunnel",),
        spared_by=_RUNS,
        remote=True,
    ),
)
ROUTE = (
    Check(
        "route.official",
        "Does the official bundle's host answer?",
        official,
        after=("direct.tcp", "proxy.tunnel", "trust.chain", "mirror.serves"),
        spared_by=_RUNS,
        remote=True,
    ),
)
