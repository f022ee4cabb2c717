"""What a check gets to work with: the session, what was found before, facts that are shared."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from pyodide_offline.features.doctor.finding import Finding
from pyodide_offline.session import Session

_T = TypeVar("_T")


class Facts:
    """Things that are found out once, whoever asks first; the others wait for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, tuple[object, Exception | None]] = {}

    def once(self, name: str, find: Callable[[], _T]) -> _T:
        """Return what ``find`` returned for this name. Raises what it raised, to everybody."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._known:
                try:
                    self._known[name] = (find(), None)
                except Exception as error:
                    self._known[name] = (None, error)
            value, problem = self._known[name]
        if problem is not None:
            raise problem
        return cast(_T, value)


@dataclass(frozen=True)
class Observed:
    """The context of one check. ``found`` holds what has ended before it, by id."""

    session: Session
    found: Mapping[str, Finding] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)

    @property
    def environ(self) -> Mapping[str, str]:
        """The user's environment."""
        return self.session.environ

    @property
    def project(self) -> Path:
        """The folder that the command is about."""
        return self.session.project

    def evidence(self, check: str) -> Mapping[str, Any]:
        """Return the evidence of a check that ended before; empty if it did not run."""
        finding = self.found.get(check)
        return finding.evidence if finding else {}
