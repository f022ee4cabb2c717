"""What a kit must hold, decided by locks; where the project has none, pinned when told to.

A pin is a lock that npm or uv made for us and the store remembers: the next kit of the same
project holds the same versions until somebody pins anew.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline import digest, process
from pyodide_offline.distribution import npmlock, pythonlock
from pyodide_offline.distribution.npmlock import Package
from pyodide_offline.distribution.pythonlock import Locked
from pyodide_offline.errors import ProjectError, ToolchainError
from pyodide_offline.features.kit.targets import Target
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import uv
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.node import global_settings

NPM_LOCK = "package-lock.json"
PYTHON_LOCKS = ("pylock.toml", "uv.lock")
_MEMO = "kit-pin"


@dataclass(frozen=True)
class Pins:
    """The pins of one store. ``renew``: what has no lock is resolved now, and once."""

    session: Session
    renew: bool
    _made: dict[str, str] = field(default_factory=dict)

    def recall(self, what: str, question: Sequence[str], resolve: Callable[[], str]) -> str:
        """Return the lock of a question. Raises ProjectError for one that was never pinned."""
        key = digest.of_bytes(json.dumps([what, *question]).encode()).hex
        known = self._made.get(key) if self.renew else self.session.store.memo(_MEMO, key)
        if isinstance(known, str):
            return known
        if not self.renew:
            raise ProjectError(
                f"No lock says which versions of {what} the kit must hold.",
                next_step="Take today's and keep to them: --pin-now",
            )
        with working(self.session.progress, f"Versions of {what}"):
            made = resolve()
        self.session.store.remember(_MEMO, key, made)
        self._made[key] = made
        return made


def npm_lock(folder: Path) -> Path | None:
    """Return the project's own package-lock.json, searched upward; None if there is none."""
    return next(
        (one / NPM_LOCK for one in (folder, *folder.parents) if (one / NPM_LOCK).is_file()), None
    )


def python_lock(folder: Path) -> Path | None:
    """Return the project's own lock of Python packages."""
    return next((folder / name for name in PYTHON_LOCKS if (folder / name).is_file()), None)


def packages(
    pins: Pins, lock: Path | None, npm: Sequence[str], requested: Sequence[str]
) -> tuple[Package, ...]:
    """Return npm's packages: the project's lock's, or those that ``requested`` needs."""
    if lock is not None:
        return npmlock.read(lock.read_bytes(), str(lock))
    return npmlock.read(_pinned(pins, npm, requested), " and ".join(requested))


def wrangler(tools: Toolchain) -> list[str]:
    """Return what npm is asked for where the project has no wrangler in its lock."""
    return [f"wrangler@{tools.wrangler.version}"]


def npm_text(session: Session, pins: Pins, tools: Toolchain) -> str:
    """Return the lock that has wrangler: the project's, or the pinned one."""
    if lock := npm_lock(session.project):
        text = lock.read_text(encoding="utf-8")
        if any(one.name == "wrangler" for one in npmlock.read(text, str(lock))):
            return text
    return _pinned(pins, tools.node.npm, wrangler(tools))


def _pinned(pins: Pins, npm: Sequence[str], requested: Sequence[str]) -> str:
    what = " and ".join(requested)
    return pins.recall(what, ["npm"], lambda: _npm(pins.session, npm, requested))


def wheels(
    pins: Pins,
    program: Path,
    environ: Callable[[], Mapping[str, str]],
    requirements: Sequence[str],
    python: str,
    *,
    what: str,
    target: Target | None = None,
) -> tuple[Locked, ...]:
    """Return what pip installs there for requirements, by uv's resolution.

    ``python`` is a series (``3.11``) with a ``target``, else an interpreter that uv knows.
    uv, and for its environment npm and pip, are asked only where no pin answers.
    """
    where = ["--python", python]
    if target is not None:
        where = ["--python-platform", target.uv, "--python-version", python]

    def resolve() -> str:
        with tempfile.TemporaryDirectory() as scratch:
            wanted, lock = Path(scratch) / "wanted.in", Path(scratch) / "pylock.toml"
            wanted.write_text("\n".join(requirements) + "\n")
            uv.run(
                program,
                ["pip", "compile", wanted, *where, "--no-build", "--no-header", "-o", lock, "-q"],
                environ=environ(),
                cwd=Path(scratch),
                doing=f"find {what}",
            )
            return lock.read_text()

    return pythonlock.read(pins.recall(what, [*requirements, *where], resolve), what)


def _npm(session: Session, npm: Sequence[str], requested: Sequence[str]) -> str:
    """Have npm resolve packages into a lock; nothing is installed and nothing is run."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "package.json").write_text('{"private":true}\n')
        settings = [
            "--package-lock-only",
            "--ignore-scripts",
            "--include=optional",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
        ]
        done = process.capture(
            [*npm, "install", *settings, *requested],
            env={**session.environ, **global_settings(session.environ)},
            cwd=Path(scratch),
            timeout=600,
        )
        if done.status != 0:
            raise ToolchainError(
                f"npm cannot find the versions of {' and '.join(requested)}.",
                why=process.tail(done.stderr or done.stdout, lines=3),
                next_step="Check which registry npm uses: npm config get registry",
            )
        return (Path(scratch) / NPM_LOCK).read_text()
