"""The proxies, step by step: found, connected, spoken to, logged in, let through.

All CONNECTs go through the one dialer, which sends a password that was refused to nobody
a second time: a doctor must not lock an account.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import (
    Blame,
    Finding,
    State,
    failed,
    passed,
    skipped,
    warned,
)
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import connect, credentials, login, lookup, proxies, sockets
from pyodide_offline.network.proxies import Upstream

SECONDS = 4.0  # for one dial
_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_NONE = "No proxy is named."
# What a proxy's answer to CONNECT says of whose matter it is. Others: the network's.
_POLICY = {200, 301, 302, 303, 307, 308, 403, 451, 511}
_DUMB = ("mute", "silent", "broken", "routeless", "other")
_HOST_UNKNOWN = {502, 503, 504}
# Without the password in the shell's history.
_LOGIN = (
    f"export {credentials.USER_VARIABLE}=YOU; read -rs {credentials.PASSWORD_VARIABLE}; "
    f"export {credentials.PASSWORD_VARIABLE}"
)
_RUNS = ("bundle.ready", "registry.npm")


@dataclass(frozen=True)
class _Dial:
    """How a CONNECT ended: with a tunnel, or with an error."""

    error: NetworkError | None = None

    @property
    def facts(self) -> Mapping[str, object]:
        return self.error.facts if self.error else {}


def settings(observed: Observed) -> Finding:
    """Read the variables that name proxies."""
    named, problems = _read(observed)
    if not named and not problems:
        return skipped(_NONE, variables={})
    shown = {one.origin: str(one) for one in named}
    if problems:
        first = next(iter(problems.values()))
        return failed(
            first.what, first.why, first.next_step, blame="network", variables=shown,
            broken=list(problems),
        )  # fmt: skip
    environ = observed.environ
    evidence: dict[str, Any] = {
        "variables": shown,
        "no_proxy": environ.get("no_proxy") or environ.get("NO_PROXY") or "",
        "credentials": {str(one): _credentials(one, environ) for one in named},
    }
    for lower in _VARIABLES[::2]:
        upper = lower.upper()
        if environ.get(lower) and environ.get(upper) and environ[lower] != environ[upper]:
            return warned(
                f"{lower} and {upper} name different proxies.",
                f"Most programs follow {lower}, some {upper}.",
                f'export {upper}="${lower}"',
                blame="network",
                **evidence,
            )
    used = _used(observed)
    if used is None and places.mirror(observed):
        return skipped("The mirror that is named is asked past the proxy.", **evidence)
    if used is None:
        return warned(
            "A proxy is named, but not for what is asked for here.",
            "HTTP_PROXY is for http:// addresses only; the others need HTTPS_PROXY."
            if not any(one.origin.lower() in ("https_proxy", "all_proxy") for one in named)
            else "NO_PROXY takes those hosts out.",
            'export HTTPS_PROXY="$HTTP_PROXY"' if environ.get("HTTP_PROXY") else "",
            blame="network",
            **evidence,
        )
    return passed(f"{used.origin} names {used}.", **evidence)


def name(observed: Observed) -> Finding:
    """Look the proxies' names up."""

    def one(upstream: Upstream) -> Finding:
        try:
            found = lookup.run(lambda: lookup.addresses(upstream.host), SECONDS + 2)
        except NetworkError as error:
            return failed(
                f"The proxy {upstream} is not found: {error.what}.",
                f"{upstream.origin} names it.",
                f"unset {upstream.origin}",
                blame="dns",
            )
        return passed(f"{upstream.host} is {', '.join(found[:2])}.", addresses=found)

    return _each(observed, one)


def connection(observed: Observed) -> Finding:
    """Connect to the proxies."""

    def one(upstream: Upstream) -> Finding:
        try:
            asyncio.run(_connected(upstream))
        except TimeoutError:
            summary = f"The proxy {upstream} does not answer."
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            reason = "refuses the connection" if refused else "cannot be reached"
            detail = "" if refused else f": {error.strerror or error}"
            summary = f"The proxy {upstream} {reason}{detail}."
        else:
            return passed(f"{upstream} takes the connection.")
        cause = f"{upstream.origin} names it. Is it down, or the port another one?"
        return failed(summary, cause, f"unset {upstream.origin}", blame="network")

    return _each(observed, one)


async def _connected(upstream: Upstream) -> None:
    async with asyncio.timeout(SECONDS):
        (await sockets.open_raw(upstream.host, upstream.port)).close()


def tls(observed: Observed) -> Finding:
    """Speak TLS to those proxies that are named as https."""

    def one(upstream: Upstream) -> Finding:
        if upstream.scheme != "https":
            return passed(f"{upstream} is spoken to without TLS.")
        facts = _dial(observed, upstream).facts
        if facts.get("stage") == "untrusted":
            return failed(
                f"The proxy {upstream} has a certificate that is not trusted.",
                f"{facts.get('reason', '')}.",
                "export SSL_CERT_FILE=/path/to/ca.pem",
                blame="network",
            )
        # It did take a connection a moment ago.
        if facts.get("stage") in ("tls", "silent", "mute", "broken", "other"):
            return failed(
                f"The proxy {upstream} does not speak TLS.",
                f"It should, as {upstream.origin} names it with https.",
                f"export {upstream.origin}=http://{upstream.address}",
                blame="network",
            )
        return passed(f"TLS with {upstream} stands.")

    return _each(observed, one)


def authentication(observed: Observed) -> Finding:
    """See whether the proxies want a login, which one, and whether they take ours."""

    def one(upstream: Upstream) -> Finding:
        dial = _dial(observed, upstream)
        facts, error = dial.facts, dial.error
        source = _credentials(upstream, observed.environ)
        evidence: dict[str, Any] = {"known_here": list(login.SCHEMES), "credentials": source}
        if error is not None and facts.get("login"):
            evidence |= {key: facts.get(key) for key in ("status", "offered", "tried", "source")}
            step = _LOGIN if facts["login"] == "missing" else error.next_step
            return failed(error.what, error.why, step, blame="proxy-auth", **evidence)
        odd = facts.get("stage") == "refusal" and facts.get("status") == 0
        if error is not None and (odd or facts.get("stage") in _DUMB):
            return failed(error.what, error.why, error.next_step, blame="network", **evidence)
        if source and source != "the system's login":
            return passed(f"{upstream} does not refuse the login from {source}.", **evidence)
        return passed(f"{upstream} wants no login.", **evidence)

    return _each(observed, one)


def tunnel(observed: Observed) -> Finding:
    """CONNECT to the official bundle's host by its name."""
    host = places.official(observed).host
    return _each(observed, lambda one: _tunnel(observed, one, host))


def _tunnel(observed: Observed, upstream: Upstream, host: str) -> Finding:
    dial = _dial(observed, upstream)
    if dial.error is None:
        return passed(f"{upstream} lets {host}:443 through.", status=200)
    facts, error = dial.facts, dial.error
    evidence: dict[str, Any] = {
        key: facts[key] for key in ("stage", "status", "reason", "title") if key in facts
    }
    blame: Blame = "proxy-policy" if facts.get("status") in _POLICY else "network"
    if facts.get("status") in _HOST_UNKNOWN:
        evidence["meaning"] = "the proxy itself does not find or reach the host"
    step = error.next_step
    if blame == "proxy-policy":
        step = f"Ask who runs {upstream} to allow CONNECT to {host}:443."
    return failed(error.what, error.why, step, blame=blame, **evidence)


def by_address(observed: Observed) -> Finding:
    """CONNECT to the official bundle's host by an address of it."""
    host = places.official(observed).host
    address = _address(observed, host)
    if address is None:
        return skipped(f"No address of {host} is known.")

    def one(upstream: Upstream) -> Finding:
        dial = _dial(observed, upstream, address)
        if dial.error is None:
            return passed(f"{upstream} lets {address}:443 through.", status=200, address=address)
        status = dial.facts.get("status")
        if observed.found["proxy.tunnel"].state is State.PASS:
            return passed(
                f"{upstream} does not let addresses through, which nothing here needs.",
                status=status,
                address=address,
            )
        return warned(
            f"{upstream} does not let {host} through by its address {address}.",
            dial.error.what,
            blame="proxy-policy" if status in _POLICY else "network",
            status=status,
            address=address,
        )

    return _each(observed, one)


def _address(observed: Observed, host: str) -> str | None:
    for check in ("dns.https-proxy", "dns.https", "dns.system"):
        for one in observed.evidence(check).get("addresses", {}).get(host, ()):
            if ":" not in one and not one.startswith(("127.", "0.")):
                return str(one)
    return None


def _dial(observed: Observed, upstream: Upstream, host: str = "") -> _Dial:
    """CONNECT to a host's port 443, once for all checks that want to know."""
    host = host or places.official(observed).host

    def dial() -> _Dial:
        context = places.believed(observed)
        try:
            connect.dial_sync(
                host, 443, [upstream], environ=observed.environ, timeout=SECONDS, trust=context
            ).close()
        except NetworkError as error:
            return _Dial(error)
        return _Dial()

    return observed.facts.once(f"dial {upstream} {upstream.user} {host}", dial)


def _each(observed: Observed, test: Callable[[Upstream], Finding]) -> Finding:
    """Return the finding on the proxy that is used, and as evidence those on the others.

    What is wrong with a proxy that nothing here is sent through is a warning.
    """
    named, _ = _read(observed)
    if not named:
        return skipped(_NONE)
    used = _used(observed) or named[0]
    found = {used: test(used)}
    for one in named:
        if not any(_same(one, other) for other in found):
            found[one] = test(one)
    mine = found[used]
    others = {str(one): finding.summary for one, finding in found.items() if one is not used}
    if not others:
        return mine
    bad = [one for upstream, one in found.items() if upstream is not used and one.bad]
    told: dict[str, Any] = {**mine.evidence, "others": others}
    if mine.state is State.PASS and bad:
        first = bad[0]
        return warned(first.summary, first.cause, first.fix, blame=first.blame, **told)
    return replace(mine, evidence=told)


def _same(one: Upstream, other: Upstream) -> bool:
    return (one.scheme, one.host, one.port, one.user) == (
        other.scheme, other.host, other.port, other.user,
    )  # fmt: skip


def _used(observed: Observed) -> Upstream | None:
    """Return the proxy for the official bundle's host, or for a registry."""
    for find in (places.official, places.npm, places.pypi):
        place = find(observed)
        if place and (found := places.upstreams(observed, place)):
            return found[0]
    return None


def _read(observed: Observed) -> tuple[list[Upstream], dict[str, SettingsError]]:
    named: list[Upstream] = []
    problems: dict[str, SettingsError] = {}
    for variable in _VARIABLES:
        if value := observed.environ.get(variable, "").strip():
            try:
                named.append(proxies.parse(value, variable))
            except SettingsError as error:
                problems[variable] = error
    if not problems and (used := _used(observed)) and not any(_same(used, one) for one in named):
        named.append(used)  # npm, pip or a PAC file names it
    return named, problems


def _credentials(upstream: Upstream, environ: Mapping[str, str]) -> str:
    """Return where user and password for a proxy come from, empty if there are none."""
    try:
        found = credentials.find(upstream, environ)
    except SettingsError as error:
        return error.what
    return found.source if found else ""


CHECKS: Sequence[Check] = (
    Check("proxy.settings", "Do the variables name proxies that can be used?", settings),
    Check(
        "proxy.name",
        "Is the proxy's name found?",
        name,
        needs=("proxy.settings",),
        seconds=7,
        remote=True,
    ),
    Check(
        "proxy.connect",
        "Does the proxy take connections?",
        connection,
        needs=("proxy.name",),
        remote=True,
    ),
    Check(
        "proxy.tls",
        "Does the proxy speak TLS where it is named so?",
        tls,
        needs=("proxy.connect",),
        remote=True,
    ),
    Check(
        "proxy.login",
        "Does the proxy take our login?",
        authentication,
        needs=("proxy.tls",),
        remote=True,
    ),
    Check(
        "proxy.tunnel",
        "Does the proxy let the bundle's host through?",
        tunnel,
        needs=("proxy.login",),
        spared_by=_RUNS,
        remote=True,
    ),
    Check(
        "proxy.address",
        "Does the proxy let it through by its address?",
        by_address,
        needs=("proxy.login",),
        after=("proxy.tunnel", "dns.system", "dns.https", "dns.https-proxy"),
        remote=True,
    ),
)
