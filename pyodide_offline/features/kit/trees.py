"""Folders that a kit carries as they are, such as one of `browser build`.

Each is one archive, the same for the same files: no times, owners or modes are kept.
"""

import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyodide_offline import archive, disk
from pyodide_offline.errors import ProjectError, StorageError
from pyodide_offline.features.kit import archives
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits.manifest import Item
from pyodide_offline.session import Session

KIND = "tree"


def packed(session: Session, folders: Sequence[Path]) -> list[Archive]:
    """Return each folder as an archive in the store, under the folder's own name.

    Raises ProjectError for a name that a kit cannot hold, or holds already, and for links.
    """
    found: dict[str, Archive] = {}
    for folder in folders:
        name = folder.resolve().name
        if not name.isascii() or not name.isprintable() or set(name) & set(':*?"<>|\\'):
            raise ProjectError(
                f"A kit cannot hold a folder of the name {name!r}.",
                next_step="Give it a name of plain letters.",
            )
        if name.casefold() in found:
            raise ProjectError(
                f"Two folders are named {name}.", next_step="Rename one of them, then pack."
            )
        found[name.casefold()] = _archive(session, folder.resolve(), name)
    return list(found.values())


def give_back(
    items: Sequence[Item], places: Mapping[str, Path], name: str | None, target: Path
) -> str:
    """Make ``target`` the folder that a kit has, by its name or the only one; return the name.

    Raises ProjectError where the kit has none such, StorageError if ``target`` is there,
    IntegrityError as archives do.
    """
    found = [one for one in items if one.kind == KIND and name in (None, one.name)]
    if len(found) != 1:
        names = ", ".join(sorted(one.name for one in items if one.kind == KIND)) or "no folder"
        raise ProjectError(
            f"The kit has not exactly one folder {name or ''}".rstrip() + f": it has {names}.",
            next_step="Name one of them, or pack it: pyodide-offline kit pack --browser DIR",
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} is there already.", next_step="Name a new folder with -o.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        disk.guarded(target),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch,
    ):
        made = Path(scratch) / "tree"
        made.mkdir()
        archive.unpack(places[found[0].sha256], made)
        made.rename(target)
    return found[0].name


def _archive(session: Session, folder: Path, name: str) -> Archive:
    file = f"{name}.tar"
    entry = archives.kept(session, f"kit-{KIND}", file, lambda path: _write(folder, path))
    return archives.file(entry, KIND, name, "", file)


def _write(folder: Path, target: Path) -> None:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ProjectError(
                    f"{path} is neither a file nor a folder.",
                    why="A kit holds no links.",
                    next_step="Replace it by a file.",
                )
            if path.is_file():
                # Of no time and no owner: the same files are the same bytes.
                member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    tar.addfile(member, content)
