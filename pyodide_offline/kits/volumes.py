"""A kit in several files, for media that are smaller than it: split, joined, read in place.

Each volume begins with 512 bytes that say which kit it is of, its number, the count, its
place and the SHA-256 of its part. Volumes are told by these bytes and never by their names,
and are read in any order, from any folders, without being put together first.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits.reading import INCOMPLETE, Fault, Head, Reading, Source

HEAD = 512
_MAGIC = b"pyodide-offline kit volume 1\n"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Volume:
    """What a volume says of itself; ``offset``, ``size`` and ``total`` in bytes of the kit."""

    kit: str
    number: int
    count: int
    offset: int
    size: int
    total: int
    sha256: str

    def encode(self) -> bytes:
        """Return the 512 bytes before the volume's part; the last ones are their own digest."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        start = (_MAGIC + text.encode()).ljust(HEAD - 66) + b"\n"
        return start + hashlib.sha256(start).hexdigest().encode() + b"\n"


class Joined(io.RawIOBase):
    """The parts of several open volumes as one file."""

    def __init__(self, parts: Sequence[tuple[Volume, BinaryIO]]) -> None:
        self._parts = sorted(parts, key=lambda one: one[0].offset)
        self._place = 0

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        self._place = offset + (self._place if whence == 1 else 0)
        return self._place

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # noqa: D102
        for volume, file in self._parts:
            within = self._place - volume.offset
            if 0 <= within < volume.size:
                file.seek(HEAD + within)
                count = file.readinto(buffer[: volume.size - within])  # type: ignore[attr-defined]
                self._place += count
                return int(count)
        return 0


@contextmanager
def opened(paths: Sequence[Path], *, check: bool = False) -> Iterator[tuple[Source, list[Fault]]]:
    """Open a kit: one file (or pipe), or its volumes, in any order.

    The faults are of the volumes; with ``check`` each part is compared with its own digest,
    so that the damaged medium is named. Raises StorageError for what cannot be opened.
    """
    with ExitStack() as stack:
        files = [_open(path, stack) for path in paths]
        # A pipe cannot be looked into and put back.
        if len(files) == 1 and not (files[0].seekable() and _is_volume(files[0])):
            yield files[0], []  # type: ignore[misc]
            return
        parts: dict[int, tuple[Volume, BinaryIO]] = {}
        faults = []
        for path, file in zip(paths, files, strict=True):
            volume = _read(file)
            if volume is None:
                faults.append(Fault(str(path), "it is no volume, or its head is damaged"))
            elif parts and volume.kit != next(iter(parts.values()))[0].kit:
                faults.append(Fault(str(path), "it is a volume of another kit"))
            else:
                if check and (fault := _checked(path, file, volume)):
                    faults.append(fault)
                parts[volume.number] = volume, file
        faults += _missing([volume for volume, _ in parts.values()])
        yield Joined(list(parts.values())), faults


def head(paths: Sequence[Path]) -> Head:
    """Return what a kit says of itself. Raises IntegrityError, StorageError."""
    with opened(paths) as (source, faults):
        reading = Reading(source)
        found = reading.head()
        against = [*faults, *reading.faults]
    if found is None or reading.faults:
        raise IntegrityError(f"{paths[0]} is no kit that can be read.", why=str(against[0]))
    return found


def split(kit: Path, folder: Path, size: int) -> list[Path]:
    """Write a kit as volumes of at most ``size`` bytes, as even as may be; return their paths.

    The kit is only read. Older volumes of that name with a higher number are removed.
    Raises IntegrityError for what is no kit, StorageError for the disk.
    """
    total = kit.stat().st_size
    if size <= 2 * HEAD:
        raise IntegrityError(f"A volume of {size} bytes holds nothing.")
    count = -(-total // (size - HEAD))
    even = -(-total // count)
    made = []
    with kit.open("rb", buffering=0) as file:
        reading = Reading(file)
        head = reading.head()
        if head is None:
            raise IntegrityError(f"{kit} is no kit.", why=str(reading.faults[0]))
        name = hashlib.sha256(head.data).hexdigest()
        for number in range(1, count + 1):
            offset = (number - 1) * even
            part = Volume(name, number, count, offset, min(even, total - offset), total, "0" * 64)
            target = folder / f"{kit.name}.{number:03}"
            _write(file, target, part)
            made.append(target)
    for stale in folder.glob(f"{kit.name}.[0-9][0-9][0-9]"):
        if stale not in made:
            with stale.open("rb") as old:
                unwanted = _is_volume(old)
            if unwanted:
                stale.unlink()
    return made


def join(paths: Sequence[Path], target: Path) -> None:
    """Put volumes together again. Raises IntegrityError, with all faults, StorageError."""
    with opened(paths, check=True) as (source, faults):
        if faults:
            raise IntegrityError(
                f"The volumes cannot be joined: {len(faults)} faults.",
                why="; ".join(map(str, faults)),
            )
        buffer = memoryview(bytearray(_CHUNK))
        with disk.guarded(target), disk.beside(target) as temporary:
            with temporary.open("wb") as file:
                while count := source.readinto(buffer):
                    file.write(buffer[:count])
            temporary.chmod(0o644)
            disk.fsync(temporary)
            temporary.replace(target)


def _write(source: BinaryIO, target: Path, part: Volume) -> None:
    hasher, rest = hashlib.sha256(), part.size
    source.seek(part.offset)
    with disk.guarded(target), disk.beside(target) as temporary:
        with temporary.open("wb") as file:
            file.write(part.encode())
            while rest:
                data = source.read(min(rest, _CHUNK))
                if not data:
                    raise IntegrityError("The kit became shorter while it was split.")
                hasher.update(data)
                file.write(data)
                rest -= len(data)
            file.seek(0)
            whole = Volume(**{**asdict(part), "sha256": hasher.hexdigest()})
            file.write(whole.encode())
        temporary.chmod(0o644)
        disk.fsync(temporary)
        temporary.replace(target)


def _open(path: Path, stack: ExitStack) -> BinaryIO:
    try:
        return stack.enter_context(path.open("rb", buffering=0))
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error


def _is_volume(file: BinaryIO) -> bool:
    start = file.read(len(_MAGIC))
    file.seek(0)
    return start == _MAGIC


def _read(file: BinaryIO) -> Volume | None:
    data = file.read(HEAD)
    try:
        record = json.loads(data[len(_MAGIC) : HEAD - 65])
        numbers = ("number", "count", "offset", "size", "total")
        if any(type(record[name]) is not int or record[name] < 0 for name in numbers):
            return None
        volume = Volume(**record)
        return volume if volume.encode() == data else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _checked(path: Path, file: BinaryIO, volume: Volume) -> Fault | None:
    hasher, size = hashlib.sha256(), 0
    file.seek(HEAD)
    while data := file.read(_CHUNK):
        hasher.update(data)
        size += len(data)
    if size < volume.size:
        return Fault(str(path), f"{volume.size - size} bytes of it are missing", INCOMPLETE)
    if size > volume.size or hasher.hexdigest() != volume.sha256:
        return Fault(str(path), "its part of the kit is damaged")
    return None


def _missing(found: Sequence[Volume]) -> list[Fault]:
    if not found:
        return []
    here = {one.number for one in found}
    gone = sorted(set(range(1, min(found[0].count, 9999) + 1)) - here)
    if gone:
        text = f"of {found[0].count} volumes these are missing: {', '.join(map(str, gone))}"
        return [Fault("the kit", text, INCOMPLETE)]
    return []
