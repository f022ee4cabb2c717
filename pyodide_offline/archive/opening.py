"""An archive opened: its files one after the other, or some of them, or all into a folder."""

import lzma
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.archive import tapes, zips
from pyodide_offline.archive.bounds import Bounds, Refused
from pyodide_offline.archive.names import Names
from pyodide_offline.errors import IntegrityError

Entry = tapes.Entry | zips.Entry
_DAMAGED = (Refused, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class File:
    """One regular file of an archive. ``name`` leads nowhere but into a folder.

    Its content can be read once, and before the next file is asked for.
    """

    name: str
    size: int
    executable: bool
    archive: str
    entry: Entry

    def chunks(self) -> Iterator[memoryview]:
        """Yield the content in pieces of at most 256 KiB. Raises IntegrityError."""
        with _told(self.archive):
            yield from self.entry.chunks()

    def read(self) -> bytes:
        """Return the content whole. Raises IntegrityError."""
        return b"".join(self.chunks())


def files(archive: Path, bounds: Bounds | None = None) -> Iterator[File]:
    """Yield the regular files of a tar (any compression) or zip archive, in their order.

    Raises IntegrityError for links, devices, sparse files, names that lead out or are there
    twice or differ in case only, for what is damaged and for what exceeds ``bounds``.
    """
    names = Names()
    with _opened(archive, bounds) as entries:
        for entry in entries:
            if entry.kind == "a folder":
                names.folder(entry.name)
            elif entry.kind == "a file":
                executable = bool(entry.mode & 0o111)
                name = names.file(entry.name)
                yield File(name, entry.size, executable, archive.name, entry)
            else:
                raise Refused(f"{entry.name[:200]!r} is {entry.kind}")


def read_members(
    archive: Path, wanted: Iterable[str], bounds: Bounds | None = None
) -> dict[str, bytes]:
    """Return the named regular files of an archive, whole; missing ones are missing.

    What else is in it does not matter. Raises IntegrityError for an archive that cannot be
    read or exceeds its bounds.
    """
    names = set(wanted)
    found: dict[str, bytes] = {}
    with _opened(archive, bounds) as entries:
        for entry in entries:
            if entry.name in names and entry.kind == "a file":
                found[entry.name] = b"".join(entry.chunks())
                if len(found) == len(names):
                    break
    return found


def unpack(archive: Path, folder: Path, *, strip: int = 0, bounds: Bounds | None = None) -> None:
    """Write the files of an archive into a folder that nobody else writes to meanwhile.

    ``strip`` folders are taken off each name, and files above them left out. Raises
    IntegrityError as ``files`` does, also where a file is there already; OSError of the disk
    passes.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    made = set()
    for file in files(archive, bounds):
        parts = file.name.split("/")[strip:]
        if not parts:
            continue
        parent = folder.joinpath(*parts[:-1])
        if parent not in made:
            parent.mkdir(parents=True, exist_ok=True)
            made.add(parent)
        handle = os.open(parent / parts[-1], flags, 0o755 if file.executable else 0o644)
        try:
            for chunk in file.chunks():
                rest = chunk
                while rest:
                    rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)


@contextmanager
def _opened(archive: Path, bounds: Bounds | None) -> Iterator[Iterator[Entry]]:
    with _told(archive.name), archive.open("rb", buffering=0) as file:
        start, size = file.read(4), os.fstat(file.fileno()).st_size
        file.seek(0)
        within = bounds or Bounds()
        if start in zips.START:
            yield zips.entries(file, size, within)
        else:
            yield tapes.entries(file, size, within)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        # bz2's own is an OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error)
        raise IntegrityError(
            f"The archive {name} cannot be read.",
            why=f"{reason[:1].upper()}{reason[1:]}.",
        ) from error
