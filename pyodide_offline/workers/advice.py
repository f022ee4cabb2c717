"""What a user should know before the worker starts: said once, and with the ways out."""

from collections.abc import Iterator
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.session import Session
from pyodide_offline.store import Store
from pyodide_offline.workers import supply
from pyodide_offline.workers.project import Worker
from pyodide_offline.workers.supply import Supplied

_NEWEST = "3.14"
_PACKAGES = "python_modules"
# PyPI's first release, without code: what a resolver falls back on where no wheel fits.
_STUB = "pydantic_core-0.0.1.dist-info"


def of(session: Session, binary: Path, worker: Worker, supplied: Supplied) -> Iterator[str]:
    """Yield what has to be said of this worker on this bundle."""
    if missing := lacking(session.store, worker, supplied):
        named = ", ".join(f"{name} (imported by {path})" for name, path in missing.items())
        ways = "the official bundle (--bundle official)"
        if supplied.python_series != _NEWEST and _offers(session, binary, worker):
            ways += f", or the same worker on Python {_NEWEST} (--python {_NEWEST})"
        yield f"Python {supplied.python} from npm has no {named}. Ways out: {ways}."
    if (worker.config.parent / _PACKAGES / _STUB).is_dir():
        yield (
            "python_modules holds pydantic-core 0.0.1, which does not work: there is no wheel of "
            f"a later one for Python {supplied.python_series}. For 3.14 there is: set "
            "compatibility_date to 2026-09-08 or later."
        )


def lacking(store: Store, worker: Worker, supplied: Supplied) -> dict[str, str]:
    """Return each missing part of the standard library that the worker imports, and where.

    Read again only when the entry module, a file beside it or the packages came or went.
    """
    if not supplied.lacks:
        return {}
    folder = worker.config.parent
    entry, packages = folder / worker.main, folder / _PACKAGES
    key = digests.of_bytes(f"{entry}\n{supplied.entry.digest}".encode()).short
    state = [_time(path) for path in (entry, entry.parent, packages, packages / ".synced")]
    known = store.memo("lacking", key)
    if isinstance(known, dict) and known.get("state") == state:
        return dict(known["found"])
    from pyodide_offline.workers import imports  # which loads ast

    reached = imports.imported(entry, [entry.parent, packages], set(supplied.lacks))
    found = {name: path.relative_to(folder).as_posix() for name, path in reached.items()}
    store.remember("lacking", key, {"state": state, "found": found})
    return found


def _offers(session: Session, binary: Path, worker: Worker) -> bool:
    try:
        supply.choosing(session, binary, worker.date, worker.flags, _NEWEST)
    except PyodideOfflineError:
        return False
    return True


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
