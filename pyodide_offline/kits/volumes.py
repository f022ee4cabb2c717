"""A kit in several files, for media that are smaller than it: read in place.

Each volume begins with 512 bytes that say which kit it is of, its number, the count, its
place and the SHA-256 of its part. Volumes are told by these bytes and never by their names,
and are read in any order, from any folders, without being put together first. ``cutting``
makes them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import copies
from pyodide_offline.kits.reading import INCOMPLETE, Composed, Fault, Head, Reading, Source

HEAD = 512
MOST = 999
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


@dataclass(frozen=True)
class _Part:
    """A volume and where it was found."""

    path: Path
    file: BinaryIO
    volume: Volume


class Joined(Composed):
    """The parts of several open volumes as one file."""

    def __init__(self, parts: Sequence[tuple[Volume, BinaryIO]]) -> None:
        self._parts = sorted(parts, key=lambda one: one[0].offset)

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
    """Open a kit: one file (or pipe), or its volumes, in any order; or folders of volumes.

    What a program that knows OCI copied is shown as the kit that it is of (``copies``). Of a
    folder the volumes count and nothing else in it. The faults are of the volumes; with
    ``check`` each part is compared with its own digest, so that the damaged medium is named.
    Raises StorageError for what cannot be opened, SettingsError for volumes of two kits.
    """
    with ExitStack() as stack:
        if len(paths) == 1 and (copied := copies.opened(paths[0], stack)):
            yield copied
            return
        if len(paths) == 1 and not paths[0].is_dir():
            file = _open(paths[0], stack)
            # A pipe cannot be looked into and put back.
            if not (file.seekable() and is_volume(file)):
                yield file, []  # type: ignore[misc]
                return
        faults: list[Fault] = []
        found: list[_Part] = []
        for path in _spread(paths):
            file = _open(path, stack)
            volume = _read(file)
            if volume is None:
                faults.append(Fault(str(path), "it is no volume, or its head is damaged"))
                continue
            found.append(_Part(path, file, volume))
        parts, strange = _of_one(found)
        faults += strange
        if check:
            parts, damaged = _undamaged(parts)
            faults += damaged
        here = {part.volume.number: part for part in reversed(parts)}
        faults += _missing([part.volume for part in here.values()])
        yield Joined([(part.volume, part.file) for part in here.values()]), faults


def head(paths: Sequence[Path]) -> Head:
    """Return what a kit says of itself. Raises IntegrityError, StorageError."""
    with opened(paths) as (source, faults):
        reading = Reading(source)
        found = reading.head()
        against = [*faults, *reading.faults]
    if found is None or reading.faults:
        raise IntegrityError(f"{paths[0]} is no kit that can be read.", why=str(against[0]))
    return found


def read(path: Path) -> Volume | None:
    """Return what a file says of itself as a volume; None if it is none."""
    with ExitStack() as stack:
        return _read(_open(path, stack))


def _open(path: Path, stack: ExitStack) -> BinaryIO:
    try:
        return stack.enter_context(path.open("rb", buffering=0))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Name a kit's file, its volumes, or a folder of them.",
        ) from error


def is_volume(file: BinaryIO) -> bool:
    """Say whether a file begins as a volume does; it is rewound."""
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


def _spread(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files, and of each folder those that begin as a volume does."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        volumes = 0
        for one in sorted(path.iterdir()):
            if one.is_file():
                with ExitStack() as stack:
                    unwanted = not is_volume(_open(one, stack))
                if not unwanted:
                    volumes += 1
                    yield one
        if not volumes:
            raise StorageError(
                f"No volume of a kit lies in {path}.", next_step="Name the kit's file itself."
            )


def _of_one(found: Sequence[_Part]) -> tuple[list[_Part], list[Fault]]:
    """Return the volumes of one splitting of one kit, and a fault for each other one.

    Left-overs of another splitting may lie beside them: all volumes of one are what counts.
    """
    groups: dict[tuple[str, int, int], list[_Part]] = {}
    for part in found:
        volume = part.volume
        groups.setdefault((volume.kit, volume.count, volume.total), []).append(part)
    complete = [
        parts
        for (_, count, _), parts in groups.items()
        if len({part.volume.number for part in parts}) == count
    ]
    if len(complete) == 1:
        return complete[0], []
    first = next(iter(groups.values()), [])
    others = [part for parts in groups.values() if parts is not first for part in parts]
    return first, [
        Fault(str(part.path), "it is a volume of another kit, or of another splitting")
        for part in others
    ]


def _undamaged(parts: Sequence[_Part]) -> tuple[list[_Part], list[Fault]]:
    """Return the volumes, good copies first; a fault where no copy of one is good."""
    good, bad = [], {}
    for part in parts:
        if fault := _checked(part.path, part.file, part.volume):
            bad[part.volume.number] = part, fault
        else:
            good.append(part)
    there = {part.volume.number for part in good}
    lost = {number: one for number, one in bad.items() if number not in there}
    return [*good, *(part for part, _ in lost.values())], [fault for _, fault in lost.values()]


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
    gone = sorted(set(range(1, min(found[0].count, MOST) + 1)) - here)
    if gone:
        text = f"of {found[0].count} volumes these are missing: {', '.join(map(str, gone))}"
        return [Fault("the kit", text, INCOMPLETE)]
    return []
