"""Certificates: whose they are, whether they are believed, and what time it is elsewhere."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Place
from pyodide_offline.network import chain, reach, witness

SKEW = 300.0  # seconds that a clock may be wrong before logins and certificates suffer
_RUNS = ("bundle.ready", "registry.npm")


def issuers(observed: Observed) -> Finding:
    """Look at the certificates of every place that is reached."""
    looked: dict[str, Any] = {}
    untrusted: dict[str, Finding] = {}
    wanted = [
        one
        for one in places.known(observed)
        if one.scheme == "https"
        and not places.mirrors(observed, one)  # mirror.answers looks at its own
        and not places.blocked(observed, one)
    ]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda one: places.outcome(observed, one), wanted))
    for place, outcome in zip(wanted, outcomes, strict=True):
        if outcome.untrusted:
            assert outcome.error is not None  # noqa: S101 - for mypy
            untrusted[place.role] = _explained(observed, place, outcome.error)
        elif outcome.answer is not None:
            seen = _look(observed, place)
            looked[place.host] = {"issuer": chain.issuers(seen), "product": chain.product(seen)}
    evidence: dict[str, Any] = {"seen": looked}
    if untrusted:
        told = {role: one.summary for role, one in untrusted.items()}
        first = next(iter(untrusted.values()))
        evidence |= {**first.evidence, "untrusted": told}
        return failed(first.summary, first.cause, first.fix, blame=first.blame, **evidence)
    if not looked:
        return skipped("No place is reached whose certificate could be looked at.")
    return _trusted(observed, looked, evidence)


def _trusted(observed: Observed, looked: dict[str, Any], evidence: dict[str, Any]) -> Finding:
    """Say whose the certificates are that are believed here."""
    official = places.official(observed)
    if official.host in looked and _public(observed, official) is not None:
        issuer = looked[official.host]["issuer"]
        product = looked[official.host]["product"] or "Somebody"
        return passed(
            f"{product} opens TLS to {official.host} ({issuer}), and is trusted here.",
            intercepted=True,
            **evidence,
        )
    host = official.host if official.host in looked else next(iter(looked))
    issuer = looked[host]["issuer"]
    return passed(f"{host} shows a certificate of {issuer}, which is trusted.", **evidence)


def _explained(observed: Observed, place: Place, error: NetworkError) -> Finding:
    seen = _look(observed, place)
    code = error.facts.get("code")
    told = chain.untrusted(
        f"{place.host}:{place.port}",
        seen,
        code=code if isinstance(code, int) else None,
        reason=str(error.facts.get("reason", "")),
    )
    evidence: dict[str, Any] = {**told.facts, "host": place.host}
    wrong = told.facts["fault"]
    if wrong in ("unknown", "self-signed") and _public(observed, place) is None:
        # The public roots vouch for it: what is missing is on this machine.
        return failed(
            f"The public roots vouch for {place.host}, but this machine's settings leave them out.",
            "SSL_CERT_FILE, where it is set, stands in for the system's certificates.",
            "unset SSL_CERT_FILE" if observed.environ.get("SSL_CERT_FILE") else "",
            blame="toolchain",
            **evidence,
        )
    return failed(
        told.what,
        told.why,
        told.next_step,
        blame="interception" if wrong in ("unknown", "self-signed") else "network",
        **evidence,
    )


def _look(observed: Observed, place: Place) -> tuple[chain.Certificate, ...]:
    ways = places.upstreams(observed, place)
    return witness.look(place.host, place.port, ways, environ=observed.environ, patience=3,
                        address=places.address(observed, place))  # fmt: skip


def _public(observed: Observed, place: Place) -> str | None:
    """Return why the public roots do not vouch for a place, None if they do."""

    def verify() -> str | None:
        import certifi

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=certifi.where())
        return verified(observed, place, context)

    return observed.facts.once(f"public {place.role}", verify)


def verified(observed: Observed, place: Place, context: ssl.SSLContext) -> str | None:
    """Return why a context does not believe a place, None if it does."""
    ways = places.upstreams(observed, place)
    root = f"https://{place.host}:{place.port}/"
    try:
        reach.ask(
            root,
            ways,
            environ=observed.environ,
            trust=context,
            method="HEAD",
            address=places.address(observed, place),
        )
    except NetworkError as error:
        if error.facts.get("stage") in ("untrusted", "tls"):
            return str(error.facts.get("reason") or error.what)
    return None


def clock(observed: Observed) -> Finding:
    """Compare this machine's clock with what the places that answered say."""
    for place in places.known(observed):
        if places.blocked(observed, place):
            continue
        answer = places.outcome(observed, place).answer
        said = answer.headers.get("date", "") if answer else ""
        try:
            theirs = parsedate_to_datetime(said)
        except (ValueError, TypeError):
            continue
        skew = (datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds()
        evidence: dict[str, Any] = {"host": place.host, "date": said, "skew": round(skew)}
        if abs(skew) <= SKEW:
            return passed(f"The clock agrees with that of {place.host}.", **evidence)
        ahead = "ahead of" if skew > 0 else "behind"
        return warned(
            f"This machine's clock is {_span(abs(skew))} {ahead} that of {place.host}.",
            "Certificates and logins (Kerberos, NTLM) depend on the time.",
            "timedatectl set-ntp true",
            blame="network",
            **evidence,
        )
    return skipped("No place is reached that would tell the time.")


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"


_AFTER = ("dns.system", *places.BEFORE, "direct.tcp", "proxy.tunnel")
CHECKS = (
    Check(
        "trust.chain",
        "Whose certificates are shown, and are they trusted?",
        issuers,
        after=_AFTER,
        spared_by=_RUNS,
        seconds=8,
        remote=True,
    ),
)
CLOCK = (
    Check(
        "trust.clock",
        "Is this machine's clock right?",
        clock,
        after=(*_AFTER, "trust.chain", "route.official", "registry.npm", "registry.pypi"),
        remote=True,
    ),
)
