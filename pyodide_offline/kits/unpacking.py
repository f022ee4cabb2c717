"""Unpacks a kit: blobs under their digest, a folder a generation, one rename to switch.

    <store>/v1/kits/
        blobs/sha256/<digest>          0444, shared by all generations
        incoming/<digest>              read, right, on the disk; not yet a part of anything
        generations/0001-<digest>/     manifest, signature, SBOM, kit.pyz, OCI's two files;
                                       "lacking" lists what only other platforms have
        current                        the name of the generation that holds

Nothing leaves ``incoming`` before the last byte of the kit was read and found right and its
signer trusted. What a killed process left there is compared with its digest and not read from
the kit again. Stored blobs are never decompressed here.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import ahead, layout, trust
from pyodide_offline.kits.manifest import NAME, Item, Manifest, decode
from pyodide_offline.kits.reading import INCOMPLETE, Fault, Head, Reading
from pyodide_offline.kits.trust import Terms
from pyodide_offline.kits.volumes import opened

CURRENT = "current"
_LACKING = "lacking"


@dataclass(frozen=True)
class Generation:
    """An unpacked kit; ``root`` is the folder of all of them.

    ``lacking`` are the blobs that are not here: those of other platforms, if a copy for some
    of them was unpacked.
    """

    root: Path
    name: str
    manifest: Manifest
    lacking: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        """Where its manifest lies."""
        return self.root / "generations" / self.name

    def path(self, item: Item) -> Path:
        """Return the file of an item, which is read-only."""
        return self.root / "blobs" / "sha256" / item.sha256

    @property
    def places(self) -> dict[str, Path]:
        """Where the items that are here lie, by hex digest."""
        items = self.manifest.items
        return {one.sha256: self.path(one) for one in items if one.sha256 not in self.lacking}


@dataclass(frozen=True)
class Outcome:
    """What came of it: a generation, or faults. ``written`` and ``kept`` count blobs."""

    faults: tuple[Fault, ...]
    generation: Generation | None = None
    written: int = 0
    kept: int = 0


def verify(
    paths: Sequence[Path],
    known: trust.Known,
    terms: Terms,
    *,
    root: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Head | None, list[Fault]]:
    """Read all of a kit and return its head and everything that is wrong.

    Blobs that the kit leaves to its base are looked for in ``root``.
    """
    with opened(paths, check=True) as (source, faults):
        reading = Reading(source, advance)
        head = reading.head()
        if head:
            faults = [*faults, *trust.judge(head, known, terms).faults]
            with ahead.hashing(source, head) as whole:
                reading.blobs(head, whole=whole)
            faults += _absent(head.manifest, root)
        return head, faults + reading.faults


def unpack(
    paths: Sequence[Path],
    root: Path,
    trusted: Path,
    terms: Terms,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Unpack a kit and switch to it, or do nothing and say why not.

    ``trusted`` is the file of keys and serials. Raises StorageError for the disk.
    """
    with disk.guarded(root), _alone(root), opened(paths) as (source, faults):
        reading = Reading(source, advance)
        head = reading.head()
        if head is None:
            return Outcome((*faults, *reading.faults))
        judgement = trust.judge(head, trust.load(trusted), terms)
        if before := (*faults, *reading.faults, *judgement.faults):
            return Outcome(before)
        _sweep(root, trusted)
        shelf = _Shelf(root)
        try:
            reading.blobs(head, shelf)
        finally:
            shelf.close()
        if after := (*reading.faults, *_absent(head.manifest, root)):
            # What is right of a kit that only ends too early need not be read again.
            if any(one.bit != INCOMPLETE for one in after):
                disk.remove(root / "incoming")
            return Outcome(tuple(after))
        _place(root, head)
        # First the serial, then the switch: a kill between them lets no older kit in.
        trust.record(trusted, head, judgement)
        return Outcome((), _switch(root, head), shelf.written, shelf.kept)


def current(root: Path) -> Generation | None:
    """Return the generation that holds, or None. Raises IntegrityError for a damaged one."""
    try:
        name = (root / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    return _generation(root, name)


def generations(root: Path) -> list[Generation]:
    """Return all generations, the oldest first."""
    return [_generation(root, name) for name in _names(root)]


def rollback(root: Path) -> Generation:
    """Switch to the generation before the one that holds. Raises StorageError."""
    with disk.guarded(root), _alone(root):
        now = current(root)
        earlier = [name for name in _names(root) if now and name < now.name]
        if not earlier:
            raise StorageError(
                "There is no generation before this one.",
                next_step="See what was unpacked: pyodide-offline kit list",
            )
        found = _generation(root, earlier[-1])
        missing = [name for name, path in found.places.items() if not path.exists()]
        if missing:
            lost = next(one.file for one in found.manifest.items if one.sha256 == missing[0])
            raise IntegrityError(f"The generation {found.name} has lost {lost}.")
        disk.write_whole(root / CURRENT, f"{found.name}\n".encode())
        return found


def prune(root: Path, keep: int = 2) -> tuple[list[str], int]:
    """Remove all generations but the one that holds and the ``keep - 1`` before it.

    Returns their names and the bytes of the blobs that nobody needs any more. Later ones, left
    by a rollback, go too. Raises StorageError for the disk.
    """
    with disk.guarded(root), _alone(root):
        now = current(root)
        if now is None:
            return [], 0
        names = _names(root)
        earlier = [name for name in names if name <= now.name]
        kept = earlier[-max(keep, 1) :]
        needed = {sha256 for name in kept for sha256 in _needed(root, name)}
        gone = [name for name in names if name not in kept]
        for name in gone:
            disk.remove(root / "generations" / name)
            for program in (root / "programs").glob(f"{name}-*"):
                disk.remove(program)
        freed = 0
        for blob in (root / "blobs" / "sha256").iterdir():
            if blob.name not in needed:
                freed += blob.stat().st_size
                disk.remove(blob)
        return gone, freed


class _Shelf:
    """Takes the blobs of one reading into ``incoming``."""

    def __init__(self, root: Path) -> None:
        self.written = self.kept = 0
        self._blobs, self._incoming = root / "blobs" / "sha256", root / "incoming"
        for folder in (self._blobs, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._partial = self._incoming / "partial"
        self._file = -1

    def wants(self, sha256: str, size: int) -> bool:
        for folder in (self._blobs, self._incoming):
            if _is(folder / sha256, sha256, size):
                self.kept += 1
                return False
        self._partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._partial, flags, 0o600)
        return True

    def write(self, data: memoryview, /) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def end(self, sha256: str, *, good: bool) -> None:
        if good:
            os.fsync(self._file)
        self.close()
        if good:
            self._partial.chmod(0o444)
            self._partial.replace(self._incoming / sha256)
            self.written += 1

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _sweep(root: Path, trusted: Path) -> None:
    """Remove what killed unpackings had not named yet; nobody else unpacks now."""
    for left in (root / "blobs" / "sha256").glob(".*"):
        disk.remove(left)
    disk.sweep(root / CURRENT)
    # Another store's unpacking may write this one: that takes no hour.
    disk.sweep(trusted, age=3600)


def _place(root: Path, head: Head) -> None:
    blobs, incoming = root / "blobs" / "sha256", root / "incoming"
    for sha256 in head.manifest.carried:
        if (incoming / sha256).exists():
            (incoming / sha256).replace(blobs / sha256)
    parts = {
        head.manifest.parts[layout.PROGRAM].sha256: head.program,
        head.manifest.parts[layout.SBOM].sha256: head.sbom,
    }
    for member in layout.blobs(head.manifest, head.data, head.signatures):
        data = parts.get(member.sha256, member.data)
        if data is not None and not _is(blobs / member.sha256, member.sha256, member.size):
            disk.write_whole(blobs / member.sha256, data, 0o444)
    _fsync_folder(blobs)
    disk.remove(incoming)


def _switch(root: Path, head: Head) -> Generation:
    name = hashlib.sha256(head.data).hexdigest()[:12]
    names = _names(root)
    if names and names[-1].endswith(f"-{name}"):
        found = names[-1]
    else:
        number = int(names[-1].partition("-")[0]) + 1 if names else 1
        found = f"{number:04}-{name}"
        made = root / "generations" / ".new"
        disk.remove(made)
        files = {layout.PROGRAM: head.program, layout.SBOM: head.sbom}
        for member in layout.opening(head.manifest, head.data, head.signatures):
            data = files.get(member.name, member.data)
            disk.write_whole(made / member.name, data or b"", member.mode)
        made.rename(root / "generations" / found)
        _fsync_folder(root / "generations")
    # Another copy may have brought what this one lacks, and this what that one lacked.
    away = sorted(one for one in head.lacking if not (root / "blobs" / "sha256" / one).exists())
    note = root / "generations" / found / _LACKING
    if away or note.exists():
        disk.write_whole(note, "\n".join(away).encode())
    disk.write_whole(root / CURRENT, f"{found}\n".encode())
    _fsync_folder(root)
    return Generation(root, found, head.manifest, frozenset(away))


def _names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "generations").glob("[0-9]*-*"))


def _needed(root: Path, name: str) -> set[str]:
    """Return the blobs of a generation: its items' and OCI's own."""
    found = _generation(root, name)
    names = (layout.signature_name(number) for number in range(1, layout.SIGNERS + 1))
    signed = [
        (found.folder / name).read_bytes() for name in names if (found.folder / name).exists()
    ]
    data = (found.folder / NAME).read_bytes()
    own = {member.sha256 for member in layout.blobs(found.manifest, data, signed)}
    return own | {item.sha256 for item in found.manifest.items}


def _generation(root: Path, name: str) -> Generation:
    if name not in _names(root):
        raise IntegrityError(f"The generation {name[:80]!r} of unpacked kits is missing.")
    data = (root / "generations" / name / NAME).read_bytes()
    if not name.endswith(hashlib.sha256(data).hexdigest()[:12]):
        raise IntegrityError(f"The manifest of the generation {name} is damaged.")
    away = root / "generations" / name / _LACKING
    lacking = away.read_text().split() if away.exists() else ()
    return Generation(root, name, decode(data), frozenset(lacking))


def _absent(manifest: Manifest, root: Path | None) -> list[Fault]:
    """Return a fault for each blob that the base must have brought and has not."""
    sizes = {item.sha256: item for item in manifest.items}
    return [
        Fault(sizes[name].file, f"it is in the base kit ({manifest.base}) only", INCOMPLETE)
        for name in manifest.omitted
        if root is None or not _is(root / "blobs" / "sha256" / name, name, sizes[name].size)
    ]


def _is(path: Path, sha256: str, size: int) -> bool:
    """Say whether a file is there with the right content; it is read."""
    try:
        return path.lstat().st_size == size and digests.of_file(path).hex == sha256
    except OSError:
        return False


def _fsync_folder(folder: Path) -> None:
    if os.name != "nt":
        disk.fsync(folder)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other unpackings of this store waiting; the system lets go when a process dies."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "lock").open("a") as file:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
