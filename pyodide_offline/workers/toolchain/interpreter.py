"""A Pyodide interpreter that uv takes for one of its own, made of npm's ``pyodide``.

uv finds a managed interpreter at ``$UV_PYTHON_INSTALL_DIR/<name>/python`` and downloads
nothing. It looks into real folders only, not into links to folders, so the folder that it
is given holds real folders with links in them: to the interpreter in the store, and to the
Pythons that the user's own uv has brought, which would be out of its sight otherwise.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import archive
from pyodide_offline.distribution import npm as npm_packages
from pyodide_offline.errors import IntegrityError, ToolchainError, UnsupportedError
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers.toolchain import node

KIND = "pyodide-interpreter"
# Which Pyodide stands in for a Python series: the ones whose packages fit what the
# runtime of these workers has (python-workers' 3.13 is 0.28, 3.14 is 314).
PYODIDE_FOR_PYTHON = {"3.13": "0.28.2", "3.14": "314.0.6"}
NODE_VARIABLE = "PYODIDE_OFFLINE_NODE"
_LOCK = "package/pyodide-lock.json"
_COMMON = ("pyodide.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
_MODULES = ("pyodide.asm.mjs", "pyodide.asm.js")  # the one or the other, by version
_LAUNCHER = ("launcher.mjs", "python")


@dataclass(frozen=True)
class Interpreter:
    """An interpreter in the store. ``request`` is the name that uv is asked for it by."""

    python: str
    request: str
    name: str
    folder: Path


def find(session: Session, series: str) -> Interpreter | None:
    """Return the interpreter of a Python series (``3.14``) if the store has it."""
    entry = session.store.find(KIND, _entry_name(_pyodide(series)))
    if entry is None:
        return None
    python = str(entry.provenance["python"])
    name = folder_name(python)
    folder = entry.path / name
    return Interpreter(python, f"cpython-{python}-{_TARGET}", name, folder)


_TARGET = "emscripten-wasm32-musl"


def folder_name(python: str) -> str:
    """Return the name that uv gives the folder of this Python on Pyodide."""
    return f"pyodide-{python}-{_TARGET}"


def provide(session: Session, series: str, npm: Sequence[str]) -> Interpreter:
    """Return the interpreter of a Python series, made from npm's package if need be.

    Raises UnsupportedError, ToolchainError, OfflineError and what fetching raises.
    """
    if found := find(session, series):
        return found
    if sys.platform == "win32":
        raise UnsupportedError(
            "The Pyodide interpreter for uv is not made on Windows yet.",
            next_step="Run pywrangler sync once where GitHub can be reached, or use WSL.",
        )
    version = _pyodide(series)
    environ = {**session.environ, **node.global_settings(session.environ)}
    configured = dataclasses.replace(session, environ=environ)
    tarball = npm_packages.tarball(configured, "pyodide", version, npm=npm)

    def produce(folder: Path) -> Mapping[str, Any]:
        python = lay_out(tarball.path, folder)
        return {
            "source": "npm",
            "package": "pyodide",
            "version": version,
            "python": python,
            "tarball": str(tarball.digest),
        }

    session.store.fill_tree(KIND, _entry_name(version), produce)
    made = find(session, series)
    if made is None:
        raise ToolchainError(
            f"The Pyodide interpreter for Python {series} vanished from the store.",
            next_step="Type the same again.",
        )
    return made


def lay_out(tarball: Path, folder: Path) -> str:
    """Unpack what an interpreter needs below its name in ``folder``; return its version.

    Raises IntegrityError for a tarball that is not Pyodide's.
    """
    wanted = [f"package/{name}" for name in (*_COMMON, *_MODULES)]
    members = archive.read_members(tarball, wanted)
    missing = [name for name in _COMMON if f"package/{name}" not in members]
    if missing or not any(f"package/{name}" in members for name in _MODULES):
        raise IntegrityError(
            f"npm's pyodide package has no {missing[0] if missing else _MODULES[0]}.",
            next_step="Check which registry npm uses: npm config get registry",
        )
    try:
        python = str(json.loads(members[_LOCK])["info"]["python"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("The lockfile of npm's pyodide package names no Python.") from error
    home = folder / folder_name(python)
    home.mkdir()
    for name, content in members.items():
        (home / Path(name).name).write_bytes(content)
    source = Path(__file__).parent / "launcher"
    for name in _LAUNCHER:
        (home / name).write_bytes((source / name).read_bytes())
    (home / "python").chmod(0o755)
    return python


def publish(session: Session, interpreter: Interpreter, program: Path) -> Path:
    """Make the interpreter and the user's Pythons visible to uv; return the folder for it.

    ``program``, the Node, is remembered there for those who start an environment's Python by hand.
    """
    shown = pythons(session)
    own = shown / interpreter.name
    own.mkdir(parents=True, exist_ok=True)
    _link(own / "python", interpreter.folder / "python")
    _link(own / ".node", program)
    for folder in _of_the_user(session.environ):
        # Only links inside: each Python finds its home by following them.
        with suppress(OSError):
            (shown / folder.name).mkdir(exist_ok=True)
            for entry in folder.iterdir():
                _link(shown / folder.name / entry.name, entry)
    return shown


def pythons(session: Session) -> Path:
    """Return the folder in which uv looks for the Pythons that it manages."""
    return session.store.root / LAYOUT / "uv-python"


def _of_the_user(environ: Mapping[str, str]) -> list[Path]:
    """Return the folders of the Pythons that the user's uv has brought."""
    if named := environ.get("UV_PYTHON_INSTALL_DIR"):
        place = Path(named).expanduser()
    else:
        home = Path(environ.get("HOME") or Path.home())
        data = environ.get("XDG_DATA_HOME") or home / ".local" / "share"
        place = Path(data) / "uv" / "python"
    with suppress(OSError):
        return [
            entry
            for entry in sorted(place.iterdir())
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(".")
        ]
    return []


def _link(link: Path, target: Path) -> None:
    """Make the link, whole at every moment: another process may be using it."""
    with suppress(OSError):
        if link.readlink() == target:
            return
    beside = link.with_name(f"{link.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


def _pyodide(series: str) -> str:
    version = PYODIDE_FOR_PYTHON.get(series)
    if version is None:
        raise UnsupportedError(
            f"There is no Pyodide interpreter here for Python {series}.",
            why="It is made for " + " and ".join(PYODIDE_FOR_PYTHON) + " only.",
            next_step="Set a newer compatibility_date, or sync where GitHub can be reached "
            "and run on the official bundle.",
        )
    return version


def _entry_name(version: str) -> str:
    # The launcher's own digest: a new release of this product makes a new interpreter.
    from pyodide_offline import digest

    source = Path(__file__).parent / "launcher"
    text = b"".join((source / name).read_bytes() for name in _LAUNCHER)
    return f"{version}-{digest.of_bytes(text).short}"
