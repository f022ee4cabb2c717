"""The package registries, as the user's own settings name them: do they answer?"""

from collections.abc import Mapping
from typing import Any

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Blame, Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Place

_JSON = ("application/json", "application/vnd.npm.install-v1+json")
_POLICY = {200, 301, 302, 303, 307, 308, 403, 451, 511}


def npm(observed: Observed) -> Finding:
    """Ask the npm registry for a package."""
    place = places.npm(observed)
    if place is None:
        return skipped("There is no npm here yet; `run` brings it from the Python index.")
    return _ask(observed, place, "npm config get registry")


def pypi(observed: Observed) -> Finding:
    """Ask the Python index for a package."""
    place = places.pypi(observed)
    if place is None:
        return skipped("This Python has no pip, so nothing names an index.")
    return _ask(observed, place, "pip config list")


def _ask(observed: Observed, place: Place, command: str) -> Finding:
    ways = places.upstreams(observed, place)
    if stop := places.obstacle(observed, place):
        return skipped(f"Needs {stop}, which failed.", needs=stop, url=place.url)
    evidence: dict[str, Any] = {
        "url": place.url, "named_by": place.source, "proxy": str(ways[0]) if ways else "",
    }  # fmt: skip
    outcome = places.outcome(observed, place)
    if (error := outcome.error) is not None:
        facts = error.facts
        shown = ("stage", "status", "reason", "title", "code")
        evidence |= {key: facts[key] for key in shown if key in facts}
        step = _step(error, place)
        return failed(error.what, error.why, step, blame=_blame(facts), **evidence)
    answer = outcome.answer
    assert answer is not None  # noqa: S101 - an outcome without an error has one
    evidence |= {"status": answer.status, "type": answer.kind, "ms": round(answer.ms)}
    through = f" through {ways[0]}" if ways else ""
    if answer.status in (401, 403):
        return failed(
            f"The {_NAMES[place.role]} {place.host} wants a login, or refuses ours: "
            f"{answer.status}.",
            f"{place.source} names it.",
            command,
            blame="network",
            **evidence,
        )
    if answer.status == 404:
        return warned(
            f"The {_NAMES[place.role]} {place.host} answers, but does not have what was asked "
            f"for: 404.",
            f"{place.source} names it. Is its path right?",
            command,
            **evidence,
        )
    if answer.status >= 300:
        return failed(
            f"The {_NAMES[place.role]} {place.host} answers {answer.status}.",
            f"{place.source} names it.",
            command,
            blame="network",
            **evidence,
        )
    if place.role == "npm" and answer.kind not in _JSON and answer.body[:1] == b"<":
        return failed(
            f"{place.host} answers with a web page where a package is.",
            "A block page, a portal that wants a login, or a wrong address.",
            command,
            blame="proxy-policy",
            **evidence,
        )
    return passed(f"The {_NAMES[place.role]} {place.host} answers{through}.", **evidence)


_NAMES: Mapping[str, str] = {"npm": "npm registry", "pypi": "Python index"}


def _step(error: NetworkError, place: Place) -> str:
    if _blame(error.facts) == "proxy-policy":
        return f"Ask who runs the proxy to allow CONNECT to {place.host}:{place.port}."
    return error.next_step


def _blame(facts: Mapping[str, object]) -> Blame:
    if facts.get("login"):
        return "proxy-auth"
    if facts.get("stage") == "refusal":
        return "proxy-policy" if facts.get("status") in _POLICY else "network"
    return "dns" if facts.get("stage") == "name" and not facts.get("proxy") else "network"


CHECKS = (
    Check(
        "registry.npm",
        "Does the npm registry answer?",
        npm,
        after=("mirror.serves", "dns.system", *places.BEFORE, "trust.chain"),
        spared_by=("bundle.ready",),
        seconds=9,
        remote=True,
    ),
    Check(
        "registry.pypi",
        "Does the Python index answer?",
        pypi,
        after=("mirror.serves", "dns.system", *places.BEFORE, "trust.chain"),
        spared_by=("bundle.ready",),
        seconds=9,
        remote=True,
    ),
)
