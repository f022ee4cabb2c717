"""One examination of this machine: the checks that were wanted, and the document they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyodide_offline import __version__, redact
from pyodide_offline.features.doctor import catalogue, graph
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, State
from pyodide_offline.features.doctor.verdict import Verdict, verdict, weigh
from pyodide_offline.session import Session

SCHEMA = 1  # raised when a reader of the document has to change


@dataclass(frozen=True)
class Examination:
    """What was looked at, what was found, what it means."""

    checks: Sequence[Check]
    findings: Sequence[Finding]
    verdict: Verdict

    def status(self, *, strict: bool = False) -> int:
        """Return the exit status: 1 if something failed or is not known, else 0.

        ``strict``: a warning is a failure.
        """
        bad = {State.FAIL, State.TIMEOUT, State.WARN} if strict else {State.FAIL, State.TIMEOUT}
        return int(any(one.state in bad for one in self.findings))


def examine(
    session: Session,
    *,
    only: Iterable[str] = (),
    without: Iterable[str] = (),
    heard: Callable[[Finding], None] = lambda _: None,
    checks: Sequence[Check] | None = None,
) -> Examination:
    """Run the checks. ``only`` and ``without`` are ids or domains; KeyError if unknown.

    What ``only`` names brings what it needs. ``checks`` are those of the catalogue.
    """
    only = tuple(only)
    checks = catalogue.CHECKS if checks is None else checks
    chosen = graph.closure(checks, only) if only else tuple(checks)
    left_out = {one for name in without for one in graph.named(checks, name)}
    findings = graph.run(
        chosen,
        session,
        without=left_out & {check.id for check in chosen},
        heard=heard,
    )
    weighed = weigh(chosen, findings)
    return Examination(chosen, weighed, verdict(weighed))


def schema() -> str:
    """Return the JSON schema of the document, as it is published."""
    from importlib.resources import files

    file = files("pyodide_offline") / "schemas" / f"doctor-{SCHEMA}.json"
    return file.read_text(encoding="utf-8")


def document(examination: Examination, *, strict: bool = False) -> dict[str, Any]:
    """Return what ``--json`` prints: values of JSON, secrets out. Its schema is published."""
    checks = {check.id: check for check in examination.checks}
    return {
        "version": SCHEMA,
        "program": {"name": "pyodide-offline", "version": __version__},
        "verdict": {
            "word": examination.verdict.word,
            "sentence": redact.text(examination.verdict.sentence),
            "way": redact.text(examination.verdict.way),
            "blames": list(examination.verdict.blames),
        },
        "status": examination.status(strict=strict),
        "findings": [
            {
                "id": one.id,
                "title": checks[one.id].title,
                "state": one.state.value,
                "summary": redact.text(one.summary),
                "cause": redact.text(one.cause),
                "fix": redact.text(one.fix),
                "blame": one.blame,
                "repair": one.repair,
                "seconds": round(one.seconds, 3),
                "needs": list(checks[one.id].needs),
                "evidence": _plain(one.evidence),
            }
            for one in examination.findings
        ],
    }


def _plain(value: object) -> object:
    """Return a value of JSON, every text in it without passwords."""
    if isinstance(value, str):
        return redact.text(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(map(_plain, value))
    return value if isinstance(value, bool | int | float | None) else redact.text(str(value))
