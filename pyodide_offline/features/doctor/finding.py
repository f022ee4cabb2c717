"""What a check found. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Blame = Literal[
    "dns", "proxy-auth", "proxy-policy", "interception", "network", "toolchain", "cache"
]
"""Whose matter a failure is. A check names one only where its evidence shows it."""


class State(StrEnum):
    """How a check ended. TIMEOUT: it did not, so nothing is known."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    ``summary`` is one line, ``cause`` why it is so, ``fix`` the exact command that mends
    it, ``evidence`` the facts (JSON values), ``repair`` the id of what ``--fix`` can do.
    ``id`` and ``seconds`` (how long it took) are filled in by the runner.
    """

    state: State
    summary: str
    cause: str = ""
    fix: str = ""
    blame: Blame | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    repair: str | None = None
    id: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether something failed, or is not known because it took too long."""
        return self.state in (State.FAIL, State.TIMEOUT)


def passed(summary: str, **evidence: object) -> Finding:
    """Return a PASS."""
    return Finding(State.PASS, summary, evidence=evidence)


def skipped(summary: str, **evidence: object) -> Finding:
    """Return a SKIP: there is nothing to look at."""
    return Finding(State.SKIP, summary, evidence=evidence)


def warned(
    summary: str,
    cause: str = "",
    fix: str = "",
    *,
    blame: Blame | None = None,
    repair: str | None = None,
    **evidence: object,
) -> Finding:
    """Return a WARN."""
    return Finding(State.WARN, summary, cause, fix, blame, evidence, repair)


def failed(
    summary: str,
    cause: str = "",
    fix: str = "",
    *,
    blame: Blame | None = None,
    repair: str | None = None,
    **evidence: object,
) -> Finding:
    """Return a FAIL."""
    return Finding(State.FAIL, summary, cause, fix, blame, evidence, repair)
