"""What is in the store and in the folder that workerd reads: list, verify, prune."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline.errors import StorageError
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT, Entry
from pyodide_offline.workers import supply

# Folders beside the entries that the started tools fill for themselves, or that are made
# again at any start: nothing in them has a name or a digest.
WORKING = ("uv-cache", "uv-python", "node-compile-cache", "node-code", "bin", "trust")


@dataclass(frozen=True)
class Faulty:
    """Something whose bytes are not what they must be; ``mended`` if it was removed."""

    what: str
    path: Path
    reason: str
    mended: bool


@dataclass(frozen=True)
class Pruned:
    """What ``prune`` removed, with the bytes that it freed."""

    entries: tuple[Entry, ...]
    freed: int


def listed(session: Session) -> list[Entry]:
    """Return everything in the store, by kind and name. Raises StorageError if it is a file."""
    root = session.store.root
    if root.exists() and not root.is_dir():
        raise StorageError(
            f"The store {root} is a file, not a folder.", next_step="Name another with --store-dir."
        )
    return session.store.entries()


def working_folders(session: Session) -> dict[Path, int]:
    """Return the folders in the store that are no entries, each with its bytes."""
    found = (session.store.root / LAYOUT / name for name in WORKING)
    return {folder: folder_size(folder) for folder in found if folder.is_dir()}


def verify(session: Session, *, repair: bool = False) -> list[Faulty]:
    """Read all content again; with ``repair`` remove what is damaged.

    What was removed is brought again by the next start that needs it.
    """
    faults = []
    entries = listed(session)
    for entry in entries:
        if not entry.path.exists():
            reason = "its content is missing"
        elif not session.store.intact(entry):
            reason = f"its content no longer has the digest {entry.digest}"
        else:
            continue
        if repair:
            session.store.remove(entry)
        faults.append(Faulty(f"{entry.kind} {entry.name}", entry.path, reason, repair))
    bundles = {entry.digest for entry in entries if entry.kind == supply.KIND}
    for path in _in_cache_folder(session):
        # A bundle brought by hand, of a workerd not asked here, cannot be judged: left alone.
        known = digests.of_file(path)
        if known in bundles or not _is_ours(path, session.cache_dir):
            continue
        if path.parent.name == f"dev-{known.short}":  # whole, and of another store
            continue
        if repair:
            path.unlink()
        faults.append(Faulty(path.name, path, "it is not the bundle it stands for", repair))
    return faults


def prune(session: Session, *, everything: bool = False, older_than_days: int = 30) -> Pruned:
    """Remove leftovers, and entries not used for some days (or all of them)."""
    limit = time.time() - older_than_days * 86400
    removed = []
    freed = 0
    for entry in listed(session):
        if everything or _last_used(entry) < limit:
            freed += entry.size
            session.store.remove(entry)
            removed.append(entry)
    for path in _in_cache_folder(session):
        if everything or path.stat().st_mtime < limit:
            freed += path.stat().st_size
            path.unlink()
    if everything:
        for folder, taken in working_folders(session).items():
            with disk.guarded(folder):
                disk.remove_tree(folder)
            freed += taken
    return Pruned(tuple(removed), freed + session.store.sweep())


def size(entries: Iterable[Entry]) -> int:
    """Return the bytes that entries take, each content counted once."""
    return sum({entry.path: entry.size for entry in entries}.values())


def folder_size(path: Path) -> int:
    """Return the bytes of a folder, 0 if it is not there."""
    total = 0
    for file in disk.walk(path):
        with suppress(FileNotFoundError):  # a tool at work in it
            total += file.lstat().st_size
    return total


def _in_cache_folder(session: Session) -> list[Path]:
    return sorted(session.cache_dir.glob("**/pyodide_*.capnp.bin"))


def _is_ours(path: Path, folder: Path) -> bool:
    return path.parent != folder and path.parent.name.startswith("dev-")


def _last_used(entry: Entry) -> float:
    try:
        found = entry.path.stat()
    except OSError:
        return 0.0
    return max(found.st_atime, found.st_mtime)
