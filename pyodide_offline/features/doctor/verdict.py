"""From findings to one word, one sentence and the best way from here. Pure.

Rules:

- Only a FAIL is blamed, and only for what its check has evidence for. What was skipped
  because of it says nothing of its own.
- A failure that does not stop `run` (another check that spares it passed) is a warning.
- Where the store holds all that a start needs, nobody misses what lies beyond this machine.
- Several failures: the word is the one that stands in the way of most others, in the order
  of BLAMED; the others are named too.
- A check that took too long makes the answer incomplete, never somebody's fault.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Blame, Finding, State

Word = Literal[
    "ok",
    "degraded",
    "dns",
    "proxy-auth",
    "proxy-policy",
    "interception",
    "network",
    "toolchain",
    "cache",
    "incomplete",
]
# Storage first: it stops a start whatever the network does. Then from the near end of the
# line to the far one: what fails near hides what is behind it.
BLAMED: tuple[Blame, ...] = (
    "cache",
    "proxy-auth",
    "interception",
    "proxy-policy",
    "dns",
    "network",
    "toolchain",
)
RUN = "pyodide-offline run -- pywrangler dev"
# The ids that decide whether `run` works; what they say is used in ``_way``.
READY = "bundle.ready"
NPM = "registry.npm"
INDEX = "registry.pypi"
OFFICIAL = "route.official"
_FAULTS: Mapping[str, str] = {
    "cache": "The store or the cache folder",
    "proxy-auth": "The proxy's login",
    "interception": "TLS is intercepted",
    "proxy-policy": "The proxy's rules",
    "dns": "Name lookup",
    "network": "The network",
    "toolchain": "A program",
}


@dataclass(frozen=True)
class Verdict:
    """One word, one sentence, the best way from here; ``blames`` are the failing check ids."""

    word: Word
    sentence: str
    way: str = ""
    blames: tuple[str, ...] = ()


def weigh(checks: Sequence[Check], findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, failures that do not stop `run` as warnings, idle ones as skipped."""
    by_id = {check.id: check for check in checks}
    passed = {one.id for one in findings if one.state is State.PASS}
    return [
        _weighed(by_id[one.id], one, passed) if one.bad and one.id in by_id else one
        for one in findings
    ]


def _weighed(check: Check, finding: Finding, passed: Set[str]) -> Finding:
    unneeded = (*check.unneeded_with, READY) if check.remote else check.unneeded_with
    if instead := [one for one in unneeded if one in passed]:
        summary = f"{finding.summary} Not needed: {instead[0]} passed."
        return replace(finding, state=State.SKIP, summary=summary)
    if instead := [one for one in check.spared_by if one in passed]:
        evidence = {**finding.evidence, "spared_by": instead}
        return replace(finding, state=State.WARN, evidence=evidence)
    return finding


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict on findings that were weighed."""
    way = _way(findings)
    failed = sorted((one for one in findings if one.state is State.FAIL), key=_rank)
    late = [one for one in findings if one.state is State.TIMEOUT]
    if failed:
        first = failed[0]
        word: Word = first.blame or "incomplete"
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Verdict(
            word, f"{first.summary}{more}", way or _typed(first), tuple(one.id for one in failed)
        )
    if late:
        names = ", ".join(one.id for one in late)
        return Verdict("incomplete", f"Nothing failed, but not all could be seen: {names}.", way)
    warned = [one for one in findings if one.state is State.WARN]
    warned.sort(key=_rank)
    if warned:
        return Verdict("degraded", _degraded(findings, warned), way or _typed(warned[0]))
    if not any(one.state is State.PASS for one in findings):
        return Verdict("incomplete", "Nothing was looked at.", way)
    return Verdict("ok", "Nothing is wrong in what was looked at.", way)


def _rank(finding: Finding) -> int:
    return BLAMED.index(finding.blame) if finding.blame else len(BLAMED)


def _degraded(findings: Sequence[Finding], warned: Sequence[Finding]) -> str:
    if registries_only(findings):
        return "Outside names are not reached, the package registries are: `run` will work."
    more = f" (and {len(warned) - 1} more)" if len(warned) > 1 else ""
    return f"{warned[0].summary}{more}"


def registries_only(findings: Sequence[Finding]) -> bool:
    """Say whether the package registries answer, and the official host does not."""
    states = {one.id: one.state for one in findings}
    seen = OFFICIAL in states and states[OFFICIAL] is not State.PASS
    npm, index = states.get(NPM), states.get(INDEX)
    # Without an npm there is nothing to ask for its registry: `run` brings it from the index.
    return seen and (npm is State.PASS or (npm is State.SKIP and index is State.PASS))


def _way(findings: Sequence[Finding]) -> str:
    """Return how `run` works from here, empty if it does not or nothing is known of it."""
    states = {one.id: one.state for one in findings}
    if any(one.state is State.FAIL and one.blame in ("cache", "toolchain") for one in findings):
        return ""
    if states.get(READY) is State.PASS:
        return f"`{RUN}` works: all that it needs is in the store."
    if states.get(NPM) is State.PASS or registries_only(findings):
        source = "official bundle" if states.get(OFFICIAL) is State.PASS else "bundle from npm"
        return f"`{RUN}` works: the registries answer, and it takes the {source}."
    return ""


def _typed(finding: Finding) -> str:
    if not finding.fix:
        return ""
    # Advice begins as a sentence does, a command does not.
    return f"{'Next' if finding.fix[0].isupper() else 'Type this'}: {finding.fix}"
