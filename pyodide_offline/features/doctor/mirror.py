"""The mirror that the user has named: is it reached, is it one, does it let us in, is it fresh?"""

import email.utils
import time
from typing import Any

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import reach
from pyodide_offline.network.mirrored import TOKEN_VARIABLE, Mirror, refused

# Asked for: what every mirror says of itself, and what a start needs anyway.
_HEALTH, _ASKED = "/healthz", "/simple/workers-py/"
_STALE = ("110", "111")  # RFC 7234 §5.5: stale; its own upstream could not be asked

_OFFLINE = "this mirror is offline"  # its own words, where its operator wants it so


def answers(observed: Observed) -> Finding:
    """Ask the mirror whether it lives."""
    mirror = places.mirror(observed)
    if mirror is None:
        return skipped("No mirror is named.")
    evidence: dict[str, Any] = {"url": mirror.url}
    try:
        answer = _ask(observed, mirror, _HEALTH)
    except NetworkError as error:
        return _unreached(mirror, error, evidence)
    evidence |= {"status": answer.status, "ms": round(answer.ms)}
    if answer.status != 200 or answer.kind == "text/html":
        sent = "a web page" if answer.kind == "text/html" else str(answer.status)
        return failed(
            f"What answers at {mirror.url} is no mirror: {sent} for {_HEALTH}.",
            "The address is wrong, or a proxy stands before it.",
            "See what the mirror says when it starts: pyodide-offline mirror serve",
            blame="network",
            **evidence,
        )
    return passed(f"The mirror {mirror.url} answers.", **evidence)


def _unreached(mirror: Mirror, error: NetworkError, evidence: dict[str, Any]) -> Finding:
    stage = error.facts.get("stage")
    evidence |= {key: error.facts[key] for key in ("stage", "reason", "code") if key in error.facts}
    cause = "It is asked directly, past any proxy, and nobody is asked in its place."
    # "*" in quotes, or the shell puts file names there.
    fix = f"See whether it runs there: curl --noproxy '*' {mirror.url}{_HEALTH}"
    if stage == "untrusted":
        cause = "Its authority is not known here, or its certificate is not for this name and time."
        fix = "Ask who runs it for its CA file, then add: --ca FILE"
    elif stage == "name":
        fix = f"See who knows the name: pyodide-offline resolve --compare {mirror.host}"
    return failed(
        f"The mirror is not reached: {error.what}",
        cause,
        fix,
        blame="dns" if stage == "name" else "network",
        **evidence,
    )


def serves(observed: Observed) -> Finding:
    """Ask the mirror for an index, as pip does: with the token, and how old it is."""
    mirror = places.mirror(observed)
    if mirror is None:
        return skipped("No mirror is named.")
    try:
        answer = _ask(observed, mirror, _ASKED)
    except NetworkError as error:
        return failed(error.what, error.why, error.next_step, blame="network", url=mirror.url)
    evidence: dict[str, Any] = {
        "url": mirror.url,
        "status": answer.status,
        "token": bool(mirror.token),
        "warning": answer.headers.get("warning", ""),
    }
    if answer.status in (401, 403):
        told = refused(mirror, answer.status)
        return failed(told.what, told.why, told.next_step, blame="network", **evidence)
    if answer.status != 200:
        return failed(
            f"The mirror answers {answer.status} for a package that every start needs.",
            "It does not have it, and does not reach its own upstream.",
            f"See what it says of itself: curl {mirror.url}/readyz",
            blame="network",
            **evidence,
        )
    if _OFFLINE in evidence["warning"]:
        return passed("The mirror is told to be offline: it serves what it holds.", **evidence)
    if evidence["warning"].startswith(_STALE):
        return warned(
            f"The mirror's indexes are {_age(answer)}old: its own upstream does not answer.",
            "What it holds is served; a newer version is not seen.",
            f"See what it says of itself: curl {mirror.url}/readyz",
            blame="network",
            **evidence,
        )
    let_in = f"takes the token in {TOKEN_VARIABLE}" if mirror.token else "wants no token"
    return passed(f"The mirror {let_in}, and its indexes are fresh.", **evidence)


def _age(answer: reach.Answer) -> str:
    """Return how old an answer is, as far as it tells: ``3 hours ``."""
    seconds = 0.0
    if (told := answer.headers.get("age", "")).isdigit():
        seconds = float(told)
    elif parsed := email.utils.parsedate_tz(answer.headers.get("last-modified", "")):
        seconds = time.time() - email.utils.mktime_tz(parsed)
    if seconds < 120:
        return ""
    return f"{seconds / 3600:.0f} hours " if seconds >= 7200 else f"{seconds / 60:.0f} minutes "


def _ask(observed: Observed, mirror: Mirror, path: str) -> reach.Answer:
    return reach.ask(
        f"{mirror.url}{path}",
        [],
        environ=observed.environ,
        trust=places.believed(observed),
        headers=mirror.headers,
    )


CHECKS = (
    Check(
        "mirror.answers",
        "Does the mirror that is named answer?",
        answers,
        spared_by=("bundle.ready",),
        seconds=7,
        remote=True,
    ),
    Check(
        "mirror.serves",
        "Does the mirror let us in, and is it fresh?",
        serves,
        needs=("mirror.answers",),
        spared_by=("bundle.ready",),
        seconds=7,
        remote=True,
    ),
)
