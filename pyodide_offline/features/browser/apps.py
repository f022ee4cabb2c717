"""The app of a folder: datasette over files, or an ASGI app of the user's own."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from pyodide_offline.errors import ProjectError

DATASETTE = "datasette"
# pip and setuptools are among what datasette depends on, and nothing in a page uses them.
_NEEDLESS = ("pip", "setuptools")
_LEFT = shutil.ignore_patterns("__pycache__", ".*", "node_modules", "*.pyc")
_DATA, _SOURCE = "data/", "app/"
_SQLITE = b"SQLite format 3\x00"
_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class App:
    """What is served in the page. ``data`` are SQLite and CSV files, ``sources`` own code."""

    kind: str
    title: str
    requires: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    target: str = ""
    sources: tuple[Path, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what the page and the worker need to know."""
        if self.kind == DATASETTE:
            return {"kind": DATASETTE, "data": [f"/folder/{_DATA}{p.name}" for p in self.data]}
        return {"kind": self.kind, "target": self.target}


def read(text: str, *, data: Sequence[Path] = (), include: Sequence[Path] = ()) -> App:
    """Read ``datasette``, ``datasette==1.0a41``, ``FILE.py[:NAME]`` or ``MODULE:NAME``.

    Raises ProjectError.
    """
    if _is_datasette(text):
        names = [path.name for path in data]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ProjectError(f"Two files are called {', '.join(twice)}.")
        for path in data:
            if not path.is_file():
                raise ProjectError(f"There is no file {path}.")
            _refuse_other_data(path)
        return App(DATASETTE, "datasette", (text,), _NEEDLESS, tuple(data))
    if data:
        raise ProjectError(
            f"--db goes with --app datasette, and not with {text!r}.",
            next_step="Write datasette or datasette==VERSION; name other files with --include.",
        )
    where, _, name = text.partition(":")
    sources = list(include)
    if where.endswith(".py"):
        path = Path(where)
        if not path.is_file():
            raise ProjectError(f"There is no file {path}.")
        sources.insert(0, path)
        where = path.stem
    elif not name:
        raise ProjectError(
            f"{text!r} names no app.",
            next_step="Write datasette, FILE.py, FILE.py:NAME or MODULE:NAME.",
        )
    for path in sources:
        if not path.exists():
            raise ProjectError(f"There is nothing at {path} to include.")
    return App("asgi", where, target=f"{where}:{name or 'app'}", sources=tuple(sources))


def write(app: App, root: Path) -> dict[str, str]:
    """Copy an app's files into a folder; return each one's place in Pyodide's file system."""
    names = []
    for path in app.data:
        (root / _DATA).mkdir(exist_ok=True)
        shutil.copyfile(path, root / _DATA / path.name)
        names.append(f"{_DATA}{path.name}")
    for path in app.sources:
        target = root / _SOURCE / path.resolve().name
        target.parent.mkdir(exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=_LEFT)
        else:
            shutil.copyfile(path, target)
    below = sorted(path for path in (root / _SOURCE).rglob("*") if path.is_file())
    names += [path.relative_to(root).as_posix() for path in below]
    return {name: f"/folder/{name}" for name in names}


def _refuse_other_data(path: Path) -> None:
    """Raise ProjectError for a file that the page would refuse (see ``pages/tables.py``)."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_SQLITE))
    except OSError as error:
        raise ProjectError(f"Cannot read {path}: {error.strerror}.") from error
    if begin != _SQLITE and path.suffix.lower() not in _TABLES:
        raise ProjectError(
            f"{path} is no SQLite database.",
            why=f"Other files are read as CSV, if they are called {', '.join(_TABLES)}.",
            next_step="Name a SQLite or a CSV file with --db.",
        )


def _is_datasette(text: str) -> bool:
    try:
        return Requirement(text).name.lower() == DATASETTE
    except InvalidRequirement:
        return False
