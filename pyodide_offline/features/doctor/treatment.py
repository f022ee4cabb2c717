"""`--fix` and `--undo`: which repairs, done one after the other, written down each."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import PyodideOfflineError, StorageError
from pyodide_offline.features.doctor.finding import Finding, State
from pyodide_offline.features.doctor.repairs import REPAIRS, Record
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT


@dataclass(frozen=True)
class Step:
    """One repair of one finding, and what it would do, as people read it."""

    finding: Finding
    repair: str
    shown: str


@dataclass(frozen=True)
class Done:
    """What became of a step; ``error`` if it failed, ``typed`` are lines for the user's shell."""

    step: Step
    error: PyodideOfflineError | None = None
    typed: tuple[str, ...] = ()


def plan(session: Session, findings: Iterable[Finding]) -> list[Step]:
    """Return the repairs for what is wrong, each change once. Changes nothing."""
    steps: dict[str, Step] = {}
    for one in findings:
        known = REPAIRS.get(one.repair or "")
        if known and one.state in (State.FAIL, State.WARN):
            step = Step(one, str(one.repair), known.shown(session, one))
            steps.setdefault(step.shown, step)
    return list(steps.values())


def treat(session: Session, steps: Iterable[Step], agreed: Callable[[Step], bool]) -> list[Done]:
    """Do what is agreed to, and write down how to take it back. One failure spares the rest."""
    done = []
    for step in steps:
        if not agreed(step):
            continue
        try:
            record = _do(session, step)
        except OSError as error:
            done.append(Done(step, StorageError(f"{error.filename}: {error.strerror}.")))
        except PyodideOfflineError as error:
            done.append(Done(step, error))
        else:
            done.append(Done(step, typed=tuple(record.get("type", ()))))
    return done


def _do(session: Session, step: Step) -> Record:
    repair = REPAIRS[step.repair]
    record = repair.do(session, step.finding)
    try:
        _write_down(session, step, record)
    except BaseException:
        repair.undo(session, record)  # nothing is changed that nobody could take back
        raise
    return record


def undo(session: Session) -> list[str]:
    """Take back all that is written down, the latest first; return what was done.

    What cannot be taken back stays written down: its error is raised.
    """
    told = []
    for path in sorted(_folder(session).glob("*.json"), reverse=True):
        try:
            written = json.loads(path.read_bytes())
            repair, record = REPAIRS[written["repair"]], written["record"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another release, or damaged: nobody can say what it means
        try:
            told.append(repair.undo(session, record))
        except OSError as error:
            raise StorageError(
                f"{written['shown']} cannot be taken back: {error.strerror}."
            ) from error
        path.unlink()
    return told


def _write_down(session: Session, step: Step, record: dict[str, object]) -> None:
    # Names sort by time; several in one nanosecond there are not.
    path = _folder(session) / f"{time.time_ns():020d}.json"
    written = {"repair": step.repair, "shown": step.shown, "record": record}
    disk.write_whole(path, json.dumps(written, indent=1).encode(), mode=0o600)


def _folder(session: Session) -> Path:
    return session.store.root / LAYOUT / "repairs"
