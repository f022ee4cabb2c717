"""The folder's own list, folder.json: what it is for, and the digest of each file in it.

index.html carries the digest of folder.json, folder.json those of all other files. That of
index.html itself is taken with the digest in it blanked, so that nothing is left out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyodide_offline import digest
from pyodide_offline.digest import Digest
from pyodide_offline.errors import ProjectError

LIST = "folder.json"
PAGE = "index.html"
FORMAT = 1
_BLANK = "sha256-" + "A" * 43 + "="
_CARRIED = re.compile(r'data-folder="(sha256-[A-Za-z0-9+/]{43}=)"')


@dataclass(frozen=True)
class File:
    """A file of the folder; ``integrity`` as Subresource Integrity writes it."""

    integrity: str
    size: int


@dataclass(frozen=True)
class Folder:
    """A folder's list. ``about`` is what its page needs to know (see ``build``)."""

    root: Path
    about: Mapping[str, Any]
    files: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """A file that is not as it was built; ``reason`` completes "the file is …"."""

    name: str
    reason: str


def seal(root: Path, about: Mapping[str, Any]) -> Folder:
    """Write folder.json for all files that are there, and its digest into index.html."""
    page = root / PAGE
    text = _CARRIED.sub(f'data-folder="{_BLANK}"', page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    files = {name: _file(root, name) for name in names(root)}
    record = {"format": FORMAT, **about, "files": {n: vars(one) for n, one in files.items()}}
    data = (json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    (root / LIST).write_bytes(data)
    page.write_text(text.replace(_BLANK, digest.of_bytes(data).sri), encoding="utf-8")
    return Folder(root, about, files)


def read(root: Path) -> Folder:
    """Read a folder's list. Raises ProjectError if there is none, or it was changed."""
    try:
        data = (root / LIST).read_bytes()
        record = json.loads(data)
        if record["format"] != FORMAT:
            raise ProjectError(
                f"{root} was built by another release.",
                why=f"Its format is {record['format']}, this release knows {FORMAT}.",
                next_step="Build it anew: pyodide-offline browser build",
            )
        files = {n: File(str(f["integrity"]), int(f["size"])) for n, f in record["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProjectError(
            f"{root} is not a folder that browser build made: {LIST} is missing or damaged.",
            why="" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}.",
            next_step="Build it anew: pyodide-offline browser build",
        ) from error
    return Folder(root, {k: v for k, v in record.items() if k != "files"}, files)


def faults(folder: Folder) -> list[Fault]:
    """Compare every file with the list: missing, altered and foreign ones, sorted."""
    found = []
    here = set(names(folder.root))
    for name, expected in folder.files.items():
        if name not in here:
            found.append(Fault(name, "missing"))
        elif _file(folder.root, name) != expected:
            found.append(Fault(name, "altered"))
    found += [Fault(name, "not of this folder") for name in here - set(folder.files)]
    carried = _carried(folder.root / PAGE)
    if carried is not None and carried != digest.of_file(folder.root / LIST):
        found.append(Fault(LIST, f"altered: {PAGE} carries another digest"))
    return sorted(found, key=lambda one: one.name)


def version(integrity: str) -> str:
    """Return the part of a digest that is in addresses (see ``files.js``)."""
    return integrity.removeprefix("sha256-")[:12].replace("+", "-").replace("/", "_")


def names(root: Path) -> list[str]:
    """Return the names of all files but the list, with slashes, sorted."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return sorted(name for path in paths if (name := path.relative_to(root).as_posix()) != LIST)


def _file(root: Path, name: str) -> File:
    path = root / name
    if name == PAGE:
        text = path.read_text(encoding="utf-8", errors="replace")
        data = _CARRIED.sub(f'data-folder="{_BLANK}"', text).encode()
        return File(digest.of_bytes(data).sri, len(data))
    return File(digest.of_file(path).sri, path.stat().st_size)


def _carried(page: Path) -> Digest | None:
    try:
        found = _CARRIED.search(page.read_text(encoding="utf-8", errors="replace"))
        return digest.parse(found[1]) if found else None
    except OSError:
        return None
