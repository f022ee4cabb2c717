"""Checks in the order of their needs; independent ones at the same time, each bounded.

Every check has a daemon thread of its own. One that takes too long is left behind: a dead
DNS server holds getaddrinfo for half a minute, and nothing can call it back.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, State, failed, skipped
from pyodide_offline.features.doctor.observed import Facts, Observed
from pyodide_offline.session import Session

TOTAL = 9.0  # seconds for all of them; the command's own ten begin a little earlier


def closure(checks: Sequence[Check], wanted: Iterable[str]) -> tuple[Check, ...]:
    """Return the checks with these ids or domains, and all that they need, in order.

    Raises KeyError with a name that fits none.
    """
    by_id = {check.id: check for check in checks}
    chosen: set[str] = set()

    def take(name: str) -> None:
        if name not in chosen:
            chosen.add(name)
            for need in by_id[name].needs:
                take(need)

    for name in wanted:
        for one in named(checks, name):
            take(one)
    return tuple(check for check in checks if check.id in chosen)


def named(checks: Sequence[Check], name: str) -> list[str]:
    """Return the ids that a name stands for: itself, or all of its domain. Raises KeyError."""
    found = [check.id for check in checks if name in (check.id, check.domain)]
    if not found:
        raise KeyError(name)
    return found


def run(
    checks: Sequence[Check],
    session: Session,
    *,
    without: Iterable[str] = (),
    total: float = TOTAL,
    heard: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """Run the checks and return their findings in the order of the checks.

    ``without`` are ids that are left out, ``total`` are seconds, ``heard`` is called with
    each finding as it comes, in this thread.
    """
    left_out = {name: replace(skipped("Left out by --skip."), id=name) for name in without}
    if session.offline:
        for check in checks:
            if check.remote:
                left_out[check.id] = replace(skipped("--offline: nobody is asked."), id=check.id)
    running = _Running(checks, session, left_out, time.monotonic() + total, heard)
    while running.begin():
        running.wait()
    return [running.done[check.id] for check in checks]


class _Running:
    """One run of a graph: what waits, what runs, what has ended."""

    def __init__(
        self,
        checks: Sequence[Check],
        session: Session,
        left_out: Mapping[str, Finding],
        end: float,
        heard: Callable[[Finding], None],
    ) -> None:
        self.done: dict[str, Finding] = dict(left_out)
        self._known = {check.id for check in checks}
        self._waiting = {check.id: check for check in checks if check.id not in left_out}
        self._begun: dict[str, tuple[Check, float]] = {}
        self._answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()
        self._session = session
        self._facts = Facts()
        self._end = end
        self._heard = heard

    def begin(self) -> bool:
        """Begin what can begin, skip what has lost a prerequisite; False: all has ended."""
        moved = True
        while moved:
            moved = False
            for check in list(self._waiting.values()):
                if {*check.needs, *check.after} & self._known <= set(self.done):
                    del self._waiting[check.id]
                    self._one(check)
                    moved = True
        if self._waiting and not self._begun:
            raise ValueError(f"these checks wait for each other: {', '.join(self._waiting)}")
        return bool(self._begun)

    def wait(self) -> None:
        """Take in the next finding, or give up what is late."""
        nearest = min(self._end, *(began + one.seconds for one, began in self._begun.values()))
        try:
            finding = self._answers.get(timeout=max(0.0, nearest - time.monotonic()))
        except queue.Empty:
            self._give_up(time.monotonic())
            return
        if finding.id in self._begun:  # else it was given up before
            del self._begun[finding.id]
            self._finish(finding)

    def _one(self, check: Check) -> None:
        lost = [self.done[one] for one in check.needs if one in self.done]
        lost = [one for one in lost if one.state not in (State.PASS, State.WARN)]
        if lost:
            self._finish(replace(_without(lost[0]), id=check.id))
            return
        self._begun[check.id] = (check, time.monotonic())
        observed = Observed(self._session, dict(self.done), self._facts)
        threading.Thread(
            target=_work,
            args=(check, observed, self._answers),
            name=f"doctor {check.id}",
            daemon=True,
        ).start()

    def _give_up(self, now: float) -> None:
        over = now >= self._end
        for check, began in list(self._begun.values()):
            if over or now >= began + check.seconds:
                del self._begun[check.id]
                summary = f"No end within {now - began:.0f} s, so nothing is known."
                late = Finding(State.TIMEOUT, summary, id=check.id, seconds=now - began)
                self._finish(late)
        if over:
            for name in list(self._waiting):
                del self._waiting[name]
                self._finish(Finding(State.TIMEOUT, "Not begun: the time was over.", id=name))

    def _finish(self, finding: Finding) -> None:
        self.done[finding.id] = finding
        self._heard(finding)


def _without(lost: Finding) -> Finding:
    """Return the SKIP of a check whose prerequisite did not pass."""
    root = lost.evidence.get("needs")
    if root:  # a chain of skips names its beginning, not its last link
        return skipped(lost.summary, needs=root)
    if lost.state is State.SKIP:
        return skipped(lost.summary, needs=lost.id)
    ended = "took too long" if lost.state is State.TIMEOUT else "failed"
    return skipped(f"Needs {lost.id}, which {ended}.", needs=lost.id)


def _work(check: Check, observed: Observed, answers: "queue.SimpleQueue[Finding]") -> None:
    began = time.monotonic()
    try:
        finding = check.run(observed)
    except PyodideOfflineError as error:
        finding = failed(error.what, error.why, error.next_step)
    except Exception as error:  # a bug of one check must not cost the others
        finding = failed(
            f"This check itself broke: {type(error).__name__}: {error}.",
            "This is a fault of pyodide-offline.",
            bug=type(error).__name__,
        )
    answers.put(replace(finding, id=check.id, seconds=time.monotonic() - began))
