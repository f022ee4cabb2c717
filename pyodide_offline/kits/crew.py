"""Helper processes that install archives side by side: opening them is work for a processor.

Standard library only: part of ``kit.pyz``. A helper is this Python with this package, and
knows nothing but the lines that it reads: a job each, and a line of answer. It ends when
its maker does, however that ends.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyodide_offline
from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import installing
from pyodide_offline.kits.installing import Clash, Job, Written

# More helpers than this would wait for the disk.
_MOST = 4
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pyodide_offline.kits.crew import work; work()"
)


class Crew:
    """Does jobs in the order in which they are given, as many at once as there are processors.

    A context: leaving it ends the helpers, whatever they do. What they have written is kept
    in mind for ``known``.
    """

    def __init__(self, size: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size or _processors())
        self._mine = threading.local()
        self._helpers: list[subprocess.Popen[str]] = []
        self._known: dict[tuple[int, int, int], str] = {}
        self._ended = False

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for helper in self._helpers:
            helper.kill()
        self._pool.shutdown(cancel_futures=True)
        for helper in self._helpers:
            # What was still to be said to one that has ended is lost with it.
            with suppress(BrokenPipeError), helper:
                pass

    def start(self, job: Job) -> "Future[None]":
        """Have a job done; what fails is raised by the future's ``result``."""
        return self._pool.submit(self._do, job)

    def install(self, jobs: Iterable[Job]) -> None:
        """Do all jobs, and return when the last is done.

        Raises what a job raises: IntegrityError, Clash, OSError.
        """
        futures = [self.start(job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            # Nobody may write any more where the caller is about to clean up.
            for future in futures:
                future.cancel()
            wait(futures)
            raise

    def known(self, path: Path) -> str | None:
        """Return the SHA-256 in hex of a file that a helper has written, wherever it is now."""
        found = path.lstat()
        return self._known.get((found.st_ino, found.st_size, found.st_mtime_ns))

    def _do(self, job: Job) -> None:
        helper = self._helper()
        said = ""
        with suppress(BrokenPipeError, OSError, ValueError):
            assert helper.stdin is not None  # noqa: S101 - made with pipes
            assert helper.stdout is not None  # noqa: S101
            helper.stdin.write(json.dumps(asdict(job)) + "\n")
            helper.stdin.flush()
            said = helper.stdout.readline()
        if not said:
            self._mine.helper = None
            raise InterruptedError(f"the helper that opened {job.archive} has ended")
        answer: dict[str, Any] = json.loads(said)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["strerror"], answer["filename"])
        if "clash" in answer:
            raise Clash(answer["clash"])
        if "what" in answer:
            raise IntegrityError(answer["what"], why=answer["why"], next_step=answer["next_step"])
        for inode, size, mtime_ns, sha256 in answer["written"]:
            self._known[inode, size, mtime_ns] = sha256

    def _helper(self) -> "subprocess.Popen[str]":
        helper: subprocess.Popen[str] | None = getattr(self._mine, "helper", None)
        if helper is None:
            # In kit.pyz, the archive itself is what Python imports from.
            root = str(Path(pyodide_offline.__file__).parent.parent)
            helper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
            self._mine.helper = helper
            self._helpers.append(helper)
            if self._ended:
                helper.kill()
        return helper


def work() -> None:
    """Be a helper: answer each line until there is none."""
    maker = os.getppid()

    def going_on() -> None:
        if os.getppid() != maker:
            sys.exit(1)

    with suppress(KeyboardInterrupt, BrokenPipeError):
        for line in sys.stdin:
            given = json.loads(line)
            job = Job(**{**given, "only": tuple(given["only"])})
            print(json.dumps(_answer(job, going_on)), flush=True)


def _answer(job: Job, going_on: Callable[[], None]) -> dict[str, object]:
    try:
        written: list[Written] = installing.install(job, going_on)
    except IntegrityError as error:
        return {"what": error.what, "why": error.why, "next_step": error.next_step}
    except Clash as error:
        return {"clash": str(error)}
    except OSError as error:
        return {"errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    return {"written": [(one.inode, one.size, one.mtime_ns, one.sha256) for one in written]}


def _processors() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_MOST, count or 1))
