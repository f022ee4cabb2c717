"""pywrangler (PyPI's ``workers-py``) and the uv that it calls.

The user's own is taken if its version can be read from its files: starting it costs more
than all the rest. Which uv it wants is read from its own source, where a constant says so.
The managed one is a folder of packages with a launcher, not a virtual environment: it holds
no path of its own, so it may be moved.
"""

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import digest
from pyodide_offline.errors import ToolchainError
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip, platforms, programs, semver
from pyodide_offline.workers.toolchain.source import Source

KIND = "pywrangler"
REQUIREMENTS = ("workers-py>=1.17.9,<2", "uv")
PYTHON_VARIABLE = "PYODIDE_OFFLINE_PYTHON"
_CONSTANT = "MIN_UV_VERSION"
_SH = """\
#!/bin/sh
exec "${{{variable}:-{python}}}" -I -S "${{0%/*}}/../launch.py" "$@"
"""
_CMD = '@"%{variable}%" -I -S "%~dp0..\\launch.py" %*\r\n'
# -S and addsitedir: nothing of this Python's own packages, and ours after the standard
# library (one of them is named like a module of it).
_LAUNCH = '''\
"""Starts pywrangler from the packages beside this file."""

import site
import sys
from importlib.metadata import entry_points
from pathlib import Path

site.addsitedir(str(Path(__file__).resolve().parent / "site"))
(entry,) = entry_points(group="console_scripts", name="pywrangler")
sys.argv[0] = "pywrangler"
sys.exit(entry.load()())
'''


@dataclass(frozen=True)
class Pywrangler:
    """A pywrangler. ``version`` is workers-py's; ``managed`` if it is in the store."""

    executable: Path
    version: str
    uv: Path
    managed: bool


def find(session: Session) -> Pywrangler | None:
    """Return the user's pywrangler with a fit uv, else the one in the store, else None.

    The user's with a managed uv, where their own uv is missing or too old.
    """
    tree = _stored(session)
    for executable in _own(session):
        if described := _described(executable):
            version, least = described
            uv = _own_uv(session, executable, least) or (_fit(session, tree, least))
            if uv:
                return Pywrangler(executable, version, uv, managed=False)
    return _managed(tree) if tree else None


def provide(session: Session, source: Source | None = None) -> Pywrangler:
    """Return a pywrangler, brought from PyPI (else from ``source``) if need be.

    Raises ToolchainError, OfflineError.
    """
    if found := find(session):
        return found
    if source is None:
        session.require_network("pywrangler with its uv")

    def produce(folder: Path) -> Mapping[str, Any]:
        return _install(session, folder, source)

    with working(session.progress, "pywrangler and uv"):
        of_file = source.digest if source else digest.of_file
        session.store.fill_tree(KIND, _name(), produce, of_file=of_file)
    if found := find(session):
        return found
    raise ToolchainError(
        "pywrangler is in the store, but its files are not all there.",
        next_step="Type: pyodide-offline cache verify --repair",
    )


def _own(session: Session) -> list[Path]:
    """Return the places of the user's pywrangler, the project's own environment first."""
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    in_project = session.project / ".venv" / scripts / platforms.executable("pywrangler")
    on_path = programs.which("pywrangler", session.environ)
    found = [on_path] if on_path else []
    return [*found, in_project.absolute()] if in_project.is_file() else found


def _described(executable: Path) -> tuple[str, semver.Version] | None:
    """Return workers-py's version and the uv that it wants, from the packages beside it."""
    prefix = executable.resolve().parent.parent
    places = ["lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages"]
    found = [path for place in places for path in prefix.glob(f"{place}/workers_py-*.dist-info")]
    if len(found) != 1:  # none, or of several Pythons: no telling which one it is
        return None
    version = found[0].name.removeprefix("workers_py-").removesuffix(".dist-info")
    least = least_uv(found[0].parent)
    return (version, least) if least else None


def least_uv(packages: Path) -> semver.Version | None:
    """Read the constant that names the least uv from pywrangler's source, not running it."""
    try:
        tree = ast.parse((packages / "pywrangler" / "utils.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == _CONSTANT:
                try:
                    major, minor, patch = ast.literal_eval(value)
                    return int(major), int(minor), int(patch)
                except (ValueError, TypeError):
                    return None
    return None


def _own_uv(session: Session, executable: Path, least: semver.Version) -> Path | None:
    beside = executable.parent / platforms.executable("uv")
    uv = beside if beside.is_file() else programs.which("uv", session.environ)
    if uv is None:
        return None
    version = semver.parse(programs.version(session, uv) or "")
    return uv if version and version >= least else None


def _fit(session: Session, tree: Path | None, least: semver.Version) -> Path | None:
    if tree is None:
        return None
    uv = _managed(tree).uv
    version = semver.parse(programs.version(session, uv) or "")
    return uv if version and version >= least else None


def _name() -> str:
    return f"{platforms.here()}-{platforms.abi()}"


def _stored(session: Session) -> Path | None:
    entry = session.store.find(KIND, _name())
    if entry is None or not (entry.path / "launch.py").is_file():
        return None
    return entry.path


def _managed(tree: Path) -> Pywrangler:
    found = next((tree / "site").glob("workers_py-*.dist-info"), None)
    version = found.name.removeprefix("workers_py-").removesuffix(".dist-info") if found else ""
    script = "pywrangler.cmd" if sys.platform == "win32" else "pywrangler"
    uv = tree / "uv" / platforms.executable("uv")
    return Pywrangler(tree / "bin" / script, version, uv, managed=True)


def _install(session: Session, folder: Path, source: Source | None) -> Mapping[str, Any]:
    packages = folder / "site"
    if source:
        source.bring(packages)
    else:
        pip.install(session, packages, REQUIREMENTS)
    program = platforms.executable("uv")
    (folder / "uv").mkdir()
    (packages / "bin" / program).rename(folder / "uv" / program)
    (folder / "launch.py").write_text(_LAUNCH)
    made = _managed(folder)
    made.executable.parent.mkdir()
    template = _CMD if sys.platform == "win32" else _SH
    made.executable.write_text(
        template.format(variable=PYTHON_VARIABLE, python=_base_python()), newline=""
    )
    made.executable.chmod(0o755)
    least = least_uv(packages)
    uv = programs.version(session, made.uv)
    if not (least and uv and (semver.parse(uv) or (0, 0, 0)) >= least):
        wanted = ".".join(map(str, least)) if least else "an unknown version"
        raise ToolchainError(
            f"pywrangler {made.version} wants uv {wanted} or newer; pip brought {uv}.",
            next_step="Renew pip's index, or put a newer uv on PATH.",
        )
    return {
        "source": "PyPI",
        "package": "workers-py",
        "version": made.version,
        "uv": uv,
        "python": platforms.abi(),
    }


def _base_python() -> str:
    """Return the Python behind an environment: the environment may be gone tomorrow."""
    name = getattr(sys, "_base_executable", None) or sys.executable
    return str(Path(name).resolve())
