"""The durable store: content under its digest, names that point to it, whole folders.

    CACHEDIR.TAG
    v1/blobs/sha256/ab/abcd…      one file a content, read-only
    v1/refs/<kind>/<name>.json    name → digest, size, provenance
    v1/trees/<kind>/<name>/       unpacked folders (a Node, a wrangler)
    v1/memos/<kind>/<key>.json    answers that can be asked again at any time
    v1/locks/  v1/tmp/

Reading takes no lock. Filling takes one per name, looks again under it, writes beside,
checks, fsyncs and renames: nothing unverified ever has its final name, and whatever a
killed process left in tmp/ is removed by the next one that fills the same name.
"""

import glob
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline.digest import Digest
from pyodide_offline.errors import IntegrityError, StorageError

LAYOUT = "v1"
# Held for the moment between a content's final place and the name that points to it.
_NAMING = "naming"
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache made by pyodide-offline. See https://bford.info/cachedir/\n"
)
Provenance = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A name in the store: a file under its digest, or a folder (digest of its listing).

    ``size`` in bytes; ``provenance`` says what came from where with which digest.
    """

    kind: str
    name: str
    digest: Digest
    size: int
    path: Path
    provenance: Provenance = field(default_factory=dict)
    is_tree: bool = False


class Store:
    """The folder, and the only code that writes into it.

    ``made`` lists what this process has added, in order.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[Entry] = []
        self._read: set[tuple[object, ...]] = set()
        self._base = root / LAYOUT

    # -- reading, without a lock ---------------------------------------------------

    def find(self, kind: str, name: str) -> Entry | None:
        """Return the entry if it is there; the bytes are not read (see ``intact``).

        A file of another size than the recorded one is damaged for certain, and one that
        another user owns may change at any time: both count as not there.
        """
        entry = self._read_ref(self._ref_path(kind, name), kind, name)
        if entry is None:
            return None
        try:
            found = entry.path.stat()
        except OSError:
            return None
        if disk.foreign(found) or not (entry.is_tree or found.st_size == entry.size):
            return None
        return entry

    def intact(self, entry: Entry) -> bool:
        """Read the content and say whether it still has its digest."""
        try:
            if entry.is_tree:
                return disk.tree_digest(entry.path)[0] == entry.digest
            return self._has(entry.path, entry.digest)
        except OSError:
            return False

    def _has(self, path: Path, digest: Digest) -> bool:
        """Compare a file with a digest; what this process has read is not read again.

        The change time is part of what is remembered: nobody can set that one back.
        """
        found = path.stat()
        state = (path, digest, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if state not in self._read:
            if digests.of_file(path, digest.algorithm) != digest:
                return False
            self._read.add(state)
        return True

    def entries(self) -> list[Entry]:
        """Return every entry, sorted by kind and name."""
        found = []
        for path in sorted((self._base / "refs").glob("*/*.json")):
            kind, name = unquote(path.parent.name), unquote(path.name.removesuffix(".json"))
            entry = self._read_ref(path, kind, name)
            if entry:
                found.append(entry)
        return found

    def memo(self, kind: str, key: str) -> object:
        """Return a remembered answer, or None. A damaged one counts as none."""
        try:
            answer: object = json.loads(_own(self._memo_path(kind, key)))
        except (OSError, ValueError):
            return None
        return answer

    # -- writing -------------------------------------------------------------------

    def remember(self, kind: str, key: str, value: object) -> None:
        """Keep an answer. A store that cannot be written forgets it without a word."""
        with suppress(OSError, StorageError):
            self._publish_bytes(json.dumps(value).encode(), self._memo_path(kind, key))

    def fill(
        self,
        kind: str,
        name: str,
        produce: Callable[[Path], Provenance],
        *,
        expected: Digest | None = None,
        replace: bool = False,
    ) -> Entry:
        """Return the entry, making it first if it is missing.

        ``produce`` writes the content to the path it is given and returns its provenance.
        With ``replace`` an entry whose content is damaged is made again. Raises
        IntegrityError if the content is not ``expected``, StorageError for the disk.
        """
        return self._fill(kind, name, produce, expected=expected, replace=replace, tree=False)

    def fill_tree(
        self,
        kind: str,
        name: str,
        produce: Callable[[Path], Provenance],
        *,
        replace: bool = False,
        of_file: Callable[[Path], Digest] = digests.of_file,
    ) -> Entry:
        """Like ``fill`` for a folder: ``produce`` gets an existing, empty folder.

        The folder is renamed afterwards, so nothing in it may hold its own path. ``of_file``
        gives the digest of a file in it, for who knows it without reading.
        """
        return self._fill(
            kind, name, produce, expected=None, replace=replace, tree=True, of_file=of_file
        )

    def place(self, entry: Entry, target: Path) -> bool:
        """Copy a file entry to ``target`` unless the right bytes are there already.

        A copy and no hard link: what is damaged at the target must not damage the store.
        Returns whether something was written. Raises IntegrityError if the store's own
        content is damaged.
        """
        with suppress(OSError):
            found = target.lstat()
            if (
                stat.S_ISREG(found.st_mode)
                and not disk.foreign(found)
                and not found.st_mode & 0o022
                and found.st_size == entry.size
                and self._has(target, entry.digest)
            ):
                return False
        with disk.guarded(target), disk.beside(target) as temporary:
            shutil.copyfile(entry.path, temporary)
            if digests.of_file(temporary, entry.digest.algorithm) != entry.digest:
                raise IntegrityError(
                    f"{entry.name} in the store is damaged.",
                    why=f"Its content no longer has the digest {entry.digest}.",
                    next_step="Type: pyodide-offline cache verify --repair",
                )
            disk.fsync(temporary)
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            temporary.replace(target)
        return True

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Keep every other process out of a block of this name, for work of several fills."""
        with disk.guarded(self.root), self._prepared(), self._lock(f"work-{quote(name, safe='')}"):
            yield

    def remove(self, entry: Entry) -> None:
        """Drop a name, and its content if no other name points to it."""
        with disk.guarded(entry.path), self._prepared(), self._lock(_NAMING):
            self._ref_path(entry.kind, entry.name).unlink(missing_ok=True)
            if entry.is_tree:
                disk.remove_tree(entry.path)
            elif all(other.digest != entry.digest for other in self.entries()):
                entry.path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove leftovers: temporary files of dead fills and content without a name.

        Waits for no one: a name that is being filled is left alone. Returns bytes freed.
        """
        freed = 0
        if not self._base.is_dir():
            return freed
        with disk.guarded(self.root), self._prepared():
            with self._lock(_NAMING):
                kept = {entry.path for entry in self.entries()}
                for pattern in ("blobs/*/*/*", "trees/*/*"):
                    for content in self._base.glob(pattern):
                        if content not in kept:
                            freed += disk.tree_size(content)
                            disk.remove(content)
            for leftover in self._base.glob("tmp/*"):
                with self._lock(leftover.name.rsplit("~", 1)[0], wait=False) as held:
                    if held:
                        freed += disk.tree_size(leftover)
                        disk.remove(leftover)
        return freed

    # -- inside --------------------------------------------------------------------

    def _fill(
        self,
        kind: str,
        name: str,
        produce: Callable[[Path], Provenance],
        *,
        expected: Digest | None,
        replace: bool,
        tree: bool,
        of_file: Callable[[Path], Digest] = digests.of_file,
    ) -> Entry:
        found = self.find(kind, name)
        if found and not replace:
            return found
        label = f"{quote(kind, safe='')}-{quote(name, safe='')}"
        with disk.guarded(self.root), self._prepared(), self._lock(label):
            found = self.find(kind, name)
            if found and not (replace and not self.intact(found)):
                return found
            for leftover in (self._base / "tmp").glob(f"{glob.escape(label)}~*"):
                disk.remove(leftover)
            temporary = self._base / "tmp" / f"{label}~{os.getpid()}"
            try:
                if tree:
                    temporary.mkdir()
                    provenance = produce(temporary)
                    return self._publish_tree(kind, name, temporary, provenance, of_file)
                provenance = produce(temporary)
                return self._publish_file(kind, name, temporary, provenance, expected)
            finally:
                disk.remove(temporary)

    def _publish_file(
        self,
        kind: str,
        name: str,
        temporary: Path,
        provenance: Provenance,
        expected: Digest | None,
    ) -> Entry:
        if expected is not None:
            actual = digests.of_file(temporary, expected.algorithm)
            if actual != expected:
                raise IntegrityError(
                    f"{name} does not have the digest that it must have.",
                    why=f"Expected {expected.sri}, got {actual.sri}.",
                )
        digest = digests.of_file(temporary)
        blob = self._blob_path(digest)
        size = temporary.stat().st_size
        temporary.chmod(0o444)
        disk.fsync(temporary)
        with self._lock(_NAMING):
            blob.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(blob)
            return self._publish_ref(Entry(kind, name, digest, size, blob, provenance))

    def _publish_tree(
        self,
        kind: str,
        name: str,
        temporary: Path,
        provenance: Provenance,
        of_file: Callable[[Path], Digest],
    ) -> Entry:
        digest, size = disk.tree_digest(temporary, of_file)
        target = self._tree_path(kind, name)
        entry = Entry(kind, name, digest, size, target, provenance, is_tree=True)
        with self._lock(_NAMING):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                disk.remove_tree(target)
            temporary.rename(target)
            return self._publish_ref(entry)

    def _publish_ref(self, entry: Entry) -> Entry:
        record = {
            "digest": str(entry.digest),
            "size": entry.size,
            "tree": entry.is_tree,
            "provenance": dict(entry.provenance),
        }
        text = json.dumps(record, indent=1, sort_keys=True) + "\n"
        self._publish_bytes(text.encode(), self._ref_path(entry.kind, entry.name))
        self.made.append(entry)
        return entry

    def _publish_bytes(self, data: bytes, target: Path) -> None:
        with disk.guarded(target), self._prepared(), disk.beside(target) as temporary:
            temporary.write_bytes(data)
            disk.fsync(temporary)
            temporary.replace(target)

    def _read_ref(self, path: Path, kind: str, name: str) -> Entry | None:
        try:
            record = json.loads(_own(path))
            digest = digests.parse(record["digest"])
            tree = bool(record["tree"])
            where = self._tree_path(kind, name) if tree else self._blob_path(digest)
            return Entry(kind, name, digest, int(record["size"]), where, record["provenance"], tree)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _ref_path(self, kind: str, name: str) -> Path:
        return self._base / "refs" / quote(kind, safe="") / (quote(name, safe="") + ".json")

    def _memo_path(self, kind: str, key: str) -> Path:
        return self._base / "memos" / quote(kind, safe="") / (quote(key, safe="") + ".json")

    def _tree_path(self, kind: str, name: str) -> Path:
        return self._base / "trees" / quote(kind, safe="") / quote(name, safe="")

    def _blob_path(self, digest: Digest) -> Path:
        return self._base / "blobs" / digest.algorithm / digest.hex[:2] / digest.hex

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        for name in ("locks", "tmp"):
            (self._base / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_text(_TAG)
        yield

    @contextmanager
    def _lock(self, label: str, *, wait: bool = True) -> Iterator[bool]:
        from filelock import FileLock, Timeout

        lock = FileLock(self._base / "locks" / f"{label}.lock", timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def _own(path: Path) -> bytes:
    """Read a record of ours; one that another user owns counts as none (OSError)."""
    if disk.foreign(path.stat()):
        raise PermissionError(f"{path} belongs to another user")
    return path.read_bytes()
