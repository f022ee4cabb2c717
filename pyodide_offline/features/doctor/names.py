"""Names: by the system, by DNS over HTTPS, by that through the proxy, and whether they agree."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, State, failed, passed, skipped
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import agreement, doh, lookup, resolvers
from pyodide_offline.network.agreement import View

_SECONDS = 6.0  # for the system, whose own patience is longer
_HTTPS_SECONDS = 4.0  # for all resolvers together
_RESOLVER = "PYODIDE_OFFLINE_RESOLVER"
_NOWHERE = ("0.0.0.0", "::", "127.", "::1")  # noqa: S104 - what filters answer with


def system(observed: Observed) -> Finding:
    """Look up every host that is to be reached directly, and that of the official bundle."""
    official = places.official(observed)
    wanted = {official.host: "official"}
    for place in (places.npm(observed), places.pypi(observed)):
        if place and not places.upstreams(observed, place):
            wanted.setdefault(place.host, place.role)
    found = lookup.run(lambda: _all(list(wanted)), _SECONDS)
    missing = {name: one for name, one in found.items() if isinstance(one, str)}
    known = {name: one for name, one in found.items() if not isinstance(one, str)}
    evidence: dict[str, Any] = {"addresses": known, "missing": missing, "host": official.host}
    if not missing:
        return passed(f"{official.host} is {', '.join(known[official.host][:2])}.", **evidence)
    proxied = bool(places.upstreams(observed, official))
    if proxied and set(missing) == {official.host}:
        # Programs that know the proxy need no address of it.
        return passed(f"{official.host} is not found here; the proxy looks names up.", **evidence)
    name = official.host if official.host in missing else next(iter(missing))
    return failed(
        f"The system does not find {', '.join(missing)}: {missing[name]}.",
        "" if known else "It finds no name at all.",
        f"pyodide-offline resolve --compare {name}",
        blame="dns",
        **evidence,
    )


async def _all(names: list[str]) -> Mapping[str, list[str] | str]:
    async def one(name: str) -> list[str] | str:
        try:
            return await lookup.addresses(name)
        except NetworkError as error:
            return error.what

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def over_https(observed: Observed) -> Finding:
    """Ask resolvers over HTTPS, past any proxy."""
    return _over_https(observed, doh.DIRECT)


def through_proxy(observed: Observed) -> Finding:
    """Ask resolvers over HTTPS, through the proxy."""
    chosen = _resolvers(observed)
    if not any(doh.upstreams(observed.session, chosen, doh.PROXY)):
        return skipped("No proxy is named.")
    return _over_https(observed, doh.PROXY)


def _over_https(observed: Observed, way: str) -> Finding:
    if places.mirror(observed):
        return skipped("A mirror is named, whose name is the matter of this network.")
    host = places.official(observed).host
    chosen = _resolvers(observed)

    async def ask() -> doh.Reply:
        async with doh.Asker(observed.session, chosen, way) as asker:
            return await asker.ask(host, "A")

    through = " through the proxy" if way == doh.PROXY else ""
    asked = [urlsplit(one.url).hostname or "" for one in chosen]
    try:
        reply = lookup.run(ask, _HTTPS_SECONDS)
    except doh.ResolverFailedError as error:
        return failed(
            f"DNS over HTTPS{through} fails for {host}: {error.rcode}.",
            blame="dns",
            asked=asked,
            reasons=error.reasons,
        )
    except NetworkError as error:
        return failed(
            f"No resolver is reached over HTTPS{through}.",
            error.why,
            error.next_step,
            blame="network",
            asked=asked,
            unreachable=True,
        )
    found = [one.value for one in reply.answer.records if one.type == "A"]
    evidence: dict[str, Any] = {
        "resolver": reply.source,
        "addresses": {host: found},
        "ms": round(reply.ms),
    }
    if not found:
        return failed(f"{reply.source} knows no address of {host}.", blame="dns", **evidence)
    return passed(f"{reply.source} says that {host} is {', '.join(found[:2])}.", **evidence)


def _resolvers(observed: Observed) -> list[resolvers.Resolver]:
    named = observed.environ.get(_RESOLVER, "").split()
    return list(resolvers.chosen(named))


def agree(observed: Observed) -> Finding:
    """Compare what the ways answered."""
    host = places.official(observed).host
    views = []
    for check, way in _WAYS.items():
        finding = observed.found.get(check)
        if finding is None or finding.state in (State.SKIP, State.TIMEOUT):
            continue
        found = tuple(finding.evidence.get("addresses", {}).get(host, ()))  # type: ignore[attr-defined]
        unreachable = bool(finding.evidence.get("unreachable"))
        views.append(View(way, found, finding.summary, unreachable))
    if not views or views[0].way != _WAYS["dns.system"] or len(views) < 2:
        return skipped("There is nothing to compare.")
    sentence = agreement.sentence(host, views)
    secure = {one for view in views[1:] for one in view.addresses}
    evidence: dict[str, Any] = {"views": {view.way: list(view.addresses) for view in views}}
    here = views[0].addresses
    nowhere = bool(here) and all(one.startswith(_NOWHERE) for one in here)
    if nowhere and secure and not any(one.startswith(_NOWHERE) for one in secure):
        return failed(
            f"The system leads {host} to {here[0]}, which is not where it is.",
            f"{sentence} A line in the hosts file, or a filter in the name server.",
            f"pyodide-offline resolve --compare {host}",
            blame="dns",
            **evidence,
        )
    return passed(sentence, **evidence)


_WAYS = {
    "dns.system": "system",
    "dns.https": "DoH",
    "dns.https-proxy": "DoH through the proxy",
}
_RUNS = ("bundle.ready", "registry.npm")
CHECKS = (
    Check(
        "dns.system",
        "Does the system's resolver find what is asked for?",
        system,
        spared_by=_RUNS,
        seconds=7,
        remote=True,
    ),
    Check(
        "dns.https",
        "Does a resolver answer over HTTPS?",
        over_https,
        unneeded_with=("dns.system", *_RUNS),
        seconds=7,
        remote=True,
    ),
    Check(
        "dns.https-proxy",
        "Does a resolver answer over HTTPS through the proxy?",
        through_proxy,
        needs=("proxy.login",),
        unneeded_with=("dns.system", "proxy.tunnel", *_RUNS),
        seconds=7,
        remote=True,
    ),
    Check(
        "dns.agree",
        "Do the answers agree?",
        agree,
        after=("dns.system", "dns.https", "dns.https-proxy"),
        spared_by=("proxy.tunnel", *_RUNS),
    ),
)
