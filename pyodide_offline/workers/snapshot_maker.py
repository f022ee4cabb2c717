"""Making a snapshot: a bare workerd runs the code once and writes its memory down.

Beside the user's own workerd and at the lowest priority, never in its way. What was made
is started once from before it counts: a snapshot that does not answer is thrown away.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import PyodideOfflineError, WorkerdError
from pyodide_offline.session import Session
from pyodide_offline.store import Entry, Provenance
from pyodide_offline.workers import config, placement, snapshot
from pyodide_offline.workers.snapshot import Recipe

# Seconds: a plain start takes 3 to 15 on a busy machine, a loaded one below 3.
_MAKING, _LOADING = 180.0, 60.0
# Seconds for which a failure counts that is no refusal: the machine was busy, or its disk full.
PASSING = 24 * 3600.0
# Seconds that code has to stay as it is before an own snapshot of it is worth making.
STILL = 3.0
# At the lowest priority, and gone when we are, even by kill -9 (PR_SET_PDEATHSIG is 1).
_HUMBLY = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.nice(19); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_KILLED = -9  # by the deadline, or by a machine that is out of memory
_LISTENS = b'"event":"listen"'


@dataclass(frozen=True)
class Job:
    """What is needed to make a snapshot: workerd, its schema, the bundle's folder, the recipe."""

    binary: Path
    schema: Path
    folder: Path
    recipe: Recipe


class Maker:
    """Makes one snapshot after the other in the background; ``stop`` ends it at once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._jobs: Iterator[Job] | None = None
        self._since = 0.0
        self._thread: threading.Thread | None = None

    def want(self, jobs: Iterable[Job]) -> None:
        """Have these made once nothing else was wanted for some seconds; replaces what waits.

        They are worked out only then, and those that are not ``wanted`` are left out.
        """
        with self._changed:
            self._jobs = iter(jobs)
            self._since = time.monotonic()
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._work)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """End what is being made, and wait for that."""
        self._stopped.set()
        with self._changed:
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                make(self._session, job, self._stopped)
            except (PyodideOfflineError, OSError) as error:
                # Not worth a word: the start works without.
                if not self._stopped.is_set():
                    refused = isinstance(error, WorkerdError)
                    self._session.store.remember(
                        "no-snapshot", job.recipe.key, refused or time.time()
                    )

    def _next(self) -> Job | None:
        with self._changed:
            while not self._stopped.is_set():
                wait = self._since + STILL - time.monotonic()
                if self._jobs and wait <= 0:
                    if job := _first(self._session, self._jobs):
                        return job
                    self._jobs = None
                self._changed.wait(max(wait, 0.01) if self._jobs else None)
            return None


def _first(session: Session, jobs: Iterator[Job]) -> Job | None:
    try:
        return next((job for job in jobs if wanted(session, job)), None)
    except Exception:  # what a parser says of strange code: then there is nothing to make
        return None


def wanted(session: Session, job: Job) -> bool:
    """Say whether a snapshot is missing and neither impossible nor tried in vain of late."""
    key = job.recipe.key
    if session.store.find(snapshot.KIND, key):
        return False
    failed = session.store.memo("no-snapshot", key)
    if isinstance(failed, float):
        return not 0 <= time.time() - failed < PASSING  # a clock may be set back
    return failed is not True


def make(session: Session, job: Job, stopped: threading.Event) -> Entry:
    """Make a snapshot and keep it in the store.

    Raises WorkerdError if workerd cannot, TimeoutError if it was too slow or was killed.
    """

    def produce(target: Path) -> Provenance:
        with tempfile.TemporaryDirectory(prefix="pyodide-offline-", dir=target.parent) as name:
            folder = Path(name)
            message = config.bare(job.recipe.code, job.schema)
            _start(job, message, folder, ("--python-save-snapshot",), _MAKING, stopped)
            made = folder / "snapshot.bin"
            kind = snapshot.kind_of(made)
            # A baseline holds no code at all, so it is neutral whatever it was made from.
            if kind is None or (kind != "dedicated" and job.recipe.tier != "neutral"):
                raise WorkerdError("workerd wrote no snapshot that can be used.")
            _start(
                job, message, folder, (f"--python-load-snapshot={made.name}",), _LOADING, stopped
            )
            made.rename(target)
            return {"source": "workerd", "tier": job.recipe.tier, "type": kind}

    entry = session.store.fill(snapshot.KIND, job.recipe.key, produce)
    _drop_surplus(session, entry)
    return entry


def _drop_surplus(session: Session, newest: Entry) -> None:
    entries = [one for one in session.store.entries() if one.kind == snapshot.KIND]
    used = {one.name: _last_use(one) for one in entries}
    used[newest.name] = time.time()
    for entry in snapshot.surplus(entries, used):
        session.store.remove(entry)


def _last_use(entry: Entry) -> float:
    try:
        found = entry.path.stat()
    except OSError:
        return 0.0
    return max(found.st_atime, found.st_mtime)


def _start(
    job: Job,
    message: bytes,
    folder: Path,
    flags: Sequence[str],
    seconds: float,
    stopped: threading.Event,
) -> None:
    """Run workerd until it listens (the snapshot is written before that), then end it."""
    command = [
        str(job.binary),
        "serve",
        "--binary",
        "--experimental",
        "--control-fd=1",
        *placement.arguments(job.folder),
        f"--python-snapshot-dir={folder}",
        *flags,
        "-",
    ]
    child = subprocess.Popen(
        humbly(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A terminal's Ctrl-C is the user's command's: dead of it, this code would count as
        # one of which no snapshot can be made, for good.
        start_new_session=True,
    )
    deadline = threading.Timer(seconds, child.kill)
    watch = threading.Thread(target=_end_when, args=(child, stopped), daemon=True)
    with child:
        deadline.start()
        watch.start()
        try:
            if child.stdin and child.stdout:
                child.stdin.write(message)
                child.stdin.close()
                for line in child.stdout:
                    if _LISTENS in line:
                        return
        except BrokenPipeError:
            pass
        finally:
            deadline.cancel()
            child.kill()
    if child.returncode == _KILLED:
        raise TimeoutError(f"workerd did not answer in {seconds:.0f} s, or was killed")
    raise WorkerdError("workerd ended before it answered.")


def humbly(command: Sequence[str]) -> list[str]:
    """Return a command that runs it at the lowest priority and no longer than this process.

    Linux only; elsewhere it is the same one.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _HUMBLY, *command]


def _end_when(child: "subprocess.Popen[bytes]", stopped: threading.Event) -> None:
    while child.poll() is None:
        if stopped.wait(0.1):
            child.kill()
            return
