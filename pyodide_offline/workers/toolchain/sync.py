"""pywrangler's sync where GitHub and Pyodide's index are out of reach.

pywrangler 1.17 makes two environments, resolves pyproject.toml for Pyodide with an extra
index, installs into both and copies one to python_modules/. Told to be offline, uv takes an
index that it has never seen for an empty one; so here both environments are made first, uv
is asked for the same packages once without the extra index, which fills its cache, and then
the unmodified ``pywrangler sync`` runs offline and finds everything.

An environment is kept by pywrangler if its pyvenv.cfg names the right Python.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pyodide_offline import digest, process
from pyodide_offline.disk import remove_tree
from pyodide_offline.errors import (
    NetworkError,
    ProjectError,
    PyodideOfflineError,
    StorageError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.network import mirrored
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers.toolchain import fallback, pip, upstream, uv
from pyodide_offline.workers.toolchain import interpreter as interpreters
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.freshness import LOCKFILE, MODULES, VENV, needed, root
from pyodide_offline.workers.toolchain.interpreter import Interpreter

_SDK = "workers-runtime-sdk"


@dataclass(frozen=True)
class SyncReport:
    """What was done: nothing because it was ``fresh``, ``left`` to pywrangler, ``synced``.

    ``environment`` holds the variables that another sync in this project needs.
    """

    action: Literal["fresh", "left", "synced"]
    python: str
    environment: Mapping[str, str] = field(default_factory=dict)


def prepare(
    session: Session,
    toolchain: Toolchain,
    python: str,
    *,
    always: bool = False,
    reachable: Callable[[], bool] | None = None,
) -> SyncReport:
    """Sync the project if that is needed and pywrangler cannot do it alone.

    ``python`` is the series that the worker runs on; ``always`` prepares a project that is
    in sync too, for a command that syncs again. ``reachable`` says whether pywrangler's
    own sources answer; it is not asked offline, nor where a mirror stands in for them.
    Raises ProjectError, UnsupportedError, ToolchainError, OfflineError.
    """
    if toolchain.pywrangler is None:
        raise ValueError("a toolchain without pywrangler cannot sync")
    folder = root(session.project)
    if folder is None:
        raise ProjectError(
            f"There is no pyproject.toml in {session.project} or above it.",
            why="pywrangler reads the worker's dependencies from it.",
            next_step="Make one with [project], a name and dependencies.",
        )
    if not always and not needed(folder, toolchain.pywrangler.version):
        return SyncReport("fresh", python)
    if not session.offline and mirrored.named(session.environ) is None:
        ask = reachable or (lambda: upstream.reachable(session))
        with working(session.progress, "Asking for GitHub and Pyodide's index"):
            answered = ask()
        if answered:
            return SyncReport("left", python)
    if python not in interpreters.PYODIDE_FOR_PYTHON:
        raise UnsupportedError(
            f"The packages of a Python {python} worker cannot be installed here.",
            why="GitHub and Pyodide's index are out of reach, and npm has no Pyodide that "
            f"stands in for the official Python {python} bundle.",
            next_step="Set a compatibility_date of 2025-09-29 or later, or bring "
            f"{MODULES}/ and the official bundle from a machine that reaches them.",
        )
    with only_one(session, folder):
        if not always and not needed(
            folder, toolchain.pywrangler.version
        ):  # another run did it meanwhile
            return SyncReport("fresh", python)
        try:
            return _synchronize(session, toolchain, folder, python)
        except OSError as error:
            raise StorageError(
                f"Cannot write {error.filename or folder}: {error.strerror}.",
                next_step="Give yourself write access to the project, and see that there is room.",
            ) from error


def _synchronize(session: Session, toolchain: Toolchain, folder: Path, python: str) -> SyncReport:
    pywrangler = toolchain.pywrangler
    assert pywrangler is not None  # noqa: S101 - prepare has checked
    with working(session.progress, f"Pyodide interpreter for Python {python}"):
        interpreter = interpreters.provide(session, python, toolchain.node.npm)
        pythons = interpreters.publish(session, interpreter, toolchain.node.executable)
    told = pip.configuration(session)
    variables = uv.settings(session, pythons, told)
    environ = uv.clean(toolchain.environment(session.environ, variables))
    environ[interpreters.NODE_VARIABLE] = str(toolchain.node.executable)
    if not session.offline:
        del environ["UV_OFFLINE"]
        environ.update(uv.trust(session, told))
    filler = _Filler(pywrangler.uv, folder, interpreter, environ)
    with working(session.progress, "Environments for the worker"):
        filler.make_environments(python)
    with working(session.progress, "Packages of the worker"):
        try:
            _fill(session, filler)
        except ProjectError as error:
            if not any(name in error.what for name in fallback.PACKAGES):
                raise
            session.progress.note(
                "The index has no wheel that fits, so pure ones are made here: pylock.toml will "
                f"name them by their place on this machine ({', '.join(fallback.PACKAGES)})."
            )
            links = fallback.provide(session, pywrangler.uv, filler.environ, python)
            environ, variables = {**environ, **links}, {**variables, **links}
            _fill(session, replace(filler, environ=environ))
    with working(session.progress, "pywrangler sync"):
        done = process.capture(
            [pywrangler.executable, "sync"],
            # Rich breaks lines at the width; an error must stay in one piece.
            env={**environ, "UV_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "2000"},
            cwd=folder,
            timeout=1800,
        )
    if done.status != 0:
        text = f"{done.stdout}\n{done.stderr}"
        raise ToolchainError(
            f"pywrangler sync failed with status {done.status}.",
            why=process.tail("\n".join(uv.meaningful(text)), lines=5),
        )
    return SyncReport("synced", python, variables)


def _fill(session: Session, filler: "_Filler") -> None:
    """Fill the cache from the index; where that is out of reach, what is there may do."""
    try:
        filler.fill()
    except NetworkError as error:
        session.progress.note("The package index is out of reach; uv's cache is used alone.")
        try:
            replace(filler, environ={**filler.environ, "UV_OFFLINE": "1"}).fill()
        except PyodideOfflineError:
            raise error from None


@dataclass(frozen=True)
class _Filler:
    """uv's work before pywrangler's, in the order of pywrangler's."""

    program: Path
    project: Path
    interpreter: Interpreter
    environ: Mapping[str, str]

    def make_environments(self, series: str) -> None:
        workers = self.project / VENV
        inner = workers / "pyodide-venv"
        if not _fits(workers, series):
            _clear(workers)
            # A native Python is the better one for editors and tests. Where there is none
            # (uv would fetch it from GitHub) the Pyodide one serves as well.
            try:
                self._uv("venv", workers, "--python", f"python{series}", doing="find Python")
            except PyodideOfflineError:
                _clear(workers)
                request = self.interpreter.request
                self._uv("venv", workers, "--python", request, doing=f"make {VENV}")
        if not _fits(inner, series):
            _clear(inner)
            self._uv("venv", inner, "--python", self.interpreter.request, doing="make pyodide-venv")

    def fill(self) -> None:
        """Ask for everything once that pywrangler will ask for offline."""
        workers = self.project / VENV
        build = _allows_build(self.project)
        lock = workers / "pylock.fill.toml"
        extra = workers / "fill.txt"
        extra.write_text(f"{_SDK}\n")
        kept = self.project / LOCKFILE
        if kept.is_file():  # its versions are preferred, so that they do not drift
            shutil.copyfile(kept, lock)
        try:
            self._uv(
                *("pip", "compile", self.project / "pyproject.toml", extra),
                *("--python", self.interpreter.request, "--no-header", "-o", lock, "--quiet"),
                *([] if build else ["--no-build"]),
                doing="find packages for this worker",
            )
            self._uv(
                *("pip", "install", "-r", lock, "--preview-features", "pylock"),
                doing="install the worker's packages",
                environment=workers / "pyodide-venv",
            )
        finally:
            lock.unlink(missing_ok=True)
            extra.unlink(missing_ok=True)
        self._uv(
            *("pip", "install", "-r", self.project / "pyproject.toml", "pyodide-py", _SDK),
            doing=f"install the worker's packages into {VENV}",
            environment=workers,
        )

    def _uv(self, *arguments: str | Path, doing: str, environment: Path | None = None) -> None:
        environ = dict(self.environ)
        if environment:
            environ["VIRTUAL_ENV"] = str(environment)
        uv.run(self.program, arguments, environ=environ, cwd=self.project, doing=doing)


def _fits(environment: Path, series: str) -> bool:
    """Say whether an environment is of this Python, and its Python is still there."""
    try:
        text = (environment / "pyvenv.cfg").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    pairs = (line.partition("=") for line in text.splitlines())
    versions = [value.strip() for name, _, value in pairs if name.strip() == "version_info"]
    fit = any(value == series or value.startswith(f"{series}.") for value in versions)
    return fit and (environment / "bin" / "python").exists()


def _clear(environment: Path) -> None:
    if environment.is_symlink() or environment.is_file():
        environment.unlink()
    remove_tree(environment)


def _allows_build(project: Path) -> bool:
    import tomllib

    try:
        tables = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        return bool(tables.get("tool", {}).get("pywrangler", {}).get("allow-build", False))
    except (OSError, ValueError, AttributeError) as error:
        raise ProjectError(
            f"{project / 'pyproject.toml'} cannot be read.", why=f"{error}."
        ) from error


@contextmanager
def only_one(session: Session, folder: Path) -> Iterator[None]:
    """Let one process at a time sync a project; pywrangler itself has no such lock."""
    from filelock import FileLock

    locks = session.store.root / LAYOUT / "locks"
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(locks / f"sync-{digest.of_bytes(str(folder).encode()).short}.lock"):
        yield
