"""A native Python out of a kit, for ``.venv-workers``: where uv looks for those it manages.

uv itself opens its own archive, from a list that names nothing else
(``UV_PYTHON_DOWNLOADS_JSON_URL``), with the digest that the kit's manifest has.
"""

import json
import platform
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyodide_offline import process
from pyodide_offline.errors import NetworkError, ToolchainError
from pyodide_offline.features.kit import targets
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Item
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import interpreter, programs, uv

KIND = "python"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
# What makes uv take a Python, told to; the session's settings forbid it to do so by itself.
PLAINLY = {"UV_PYTHON_DOWNLOADS": "manual", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
INSTALL = ("python", "install", "--no-bin")
# Of the user: another source, and a folder in which uv would keep the archive once more.
_FOREIGN = {"UV_PYTHON_CACHE_DIR", "UV_PYTHON_INSTALL_MIRROR"}


def place(
    session: Session, program: Path, items: Sequence[Item], places: Mapping[str, Path], series: str
) -> None:
    """Have uv open the kit's Python of a series where it looks for its own.

    Does nothing where the kit has none, or the machine has one. That uv refuses it is noted,
    and no more: without it ``.venv-workers`` is a Pyodide. Raises StorageError for a full disk.
    """
    item = _carried(items, places, series)
    if (
        item is None
        or programs.which(f"python{series}", session.environ)
        or _managed(session, item)
    ):
        return
    folder = interpreter.pythons(session)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch) / "python.json"
        archive = Path(scratch) / item.file  # uv goes by how a name ends
        archive.symlink_to(places[item.sha256].resolve())
        here = targets.here(sys.platform, platform.machine())
        found = downloads(item.version, here.python, archive.as_uri(), item.sha256)
        listed.write_text(json.dumps(found))
        environ = {
            name: value for name, value in uv.clean(session.environ).items() if name not in _FOREIGN
        }
        environ |= {**PLAINLY, "UV_OFFLINE": "0", "UV_PYTHON_DOWNLOADS_JSON_URL": str(listed)}
        request = f"cpython-{item.version}"
        with working(session.progress, f"Python {item.version}"):
            try:
                uv.run(
                    program,
                    [*INSTALL, request, "--install-dir", folder],
                    environ=environ,
                    cwd=Path(scratch),
                    doing=f"open Python {item.version}",
                )
            except (ToolchainError, NetworkError) as error:
                session.progress.note(f"{error.what} {error.why or ''}".strip())


def find(session: Session, series: str) -> Path | None:
    """Return a native Python of a series that starts: on PATH, or one that uv manages here."""
    managed = sorted(interpreter.pythons(session).glob(f"cpython-{series}.*/bin/python{series}"))
    first = programs.which(f"python{series}", session.environ)
    for python in (first, *reversed(managed)):
        if python is not None and _starts(session, python, series):
            return python
    return None


def _starts(session: Session, python: Path, series: str) -> bool:
    with suppress(ToolchainError):
        done = process.capture(
            [python, "-I", "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            env=session.environ,
            timeout=20,
        )
        return done.stdout.strip() == series
    return False


def _carried(items: Sequence[Item], places: Mapping[str, Path], series: str) -> Item | None:
    here = plans.target(sys.platform, platform.machine())
    fit = (one for one in items if one.kind == KIND and here in one.targets)
    for item in fit:
        named = _VERSION.fullmatch(item.version) and item.version.startswith(f"{series}.")
        if named and item.sha256 in places:
            return item
    return None


def _managed(session: Session, item: Item) -> bool:
    return any(interpreter.pythons(session).glob(f"cpython-{item.version}-*/bin/python3*"))


def downloads(version: str, target: str, url: str, sha256: str) -> dict[str, Any]:
    """Return a list of downloads, as uv reads it, of one archive for a ``Target.python``."""
    system, cpu, libc = target.split("-")
    system = {"macos": "darwin"}.get(system, system)
    major, minor, patch = (int(part) for part in version.split("."))
    return {
        f"cpython-{version}-{system}-{cpu}-{libc}": {
            "name": "cpython",
            "arch": {"family": cpu, "variant": None},
            "os": system,
            "libc": libc,
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": url,
            "sha256": sha256,
            "variant": None,
        }
    }
