"""A file on its way: written under a hidden name, whole when it gets its own.

One process at a time writes a draft of a target; the next one waits. What a killed process
left is begun anew under the same name, so that nothing piles up.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pyodide_offline import disk


class Draft:
    """An open file beside its target."""

    def __init__(self, target: Path, path: Path, file: BinaryIO) -> None:
        self.target, self.file = target, file
        self._path = path
        self.published = False

    def write(self, data: bytes | memoryview) -> None:
        """Write every byte: a raw file may take less than it is given."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.file.write(rest) :]

    def finish(self) -> None:
        """Have the disk hold it all; it has no name yet."""
        self._path.chmod(0o644)
        disk.fsync(self._path)

    def publish(self) -> None:
        """Give it its name, after ``finish``."""
        if sys.platform == "win32":  # which renames no open file
            self.file.close()
        self._path.replace(self.target)
        self.published = True


@contextmanager
def draft(target: Path) -> Iterator[Draft]:
    """Yield an empty draft; it is gone afterwards unless it was published. OSError passes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = unfinished(target)
    file = _claimed(path)
    found = Draft(target, path, file)
    try:
        file.truncate(0)
        file.seek(0)
        yield found
    finally:
        # Removed while it is still locked: afterwards the name may be another's.
        if not found.published:
            if sys.platform == "win32":
                file.close()
            path.unlink(missing_ok=True)
        file.close()


def unfinished(target: Path) -> Path:
    """Return where the draft of a target lies."""
    return target.with_name(f".{target.name}.part")


def sweep(target: Path) -> None:
    """Remove the drafts of a target and of its volumes that nobody writes any more."""
    for path in target.parent.glob(f".{plain(target.name)}*.part"):
        middle = path.name.removeprefix(f".{target.name}").removesuffix(".part")
        if not re.fullmatch(r"(\.[0-9]{3})?", middle):
            continue
        with suppress(OSError), path.open("r+b") as file:
            if sys.platform != "win32":  # which removes no open file
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def plain(name: str) -> str:
    """Return a pattern that means just this name."""
    return re.sub(r"[*?[]", r"[\g<0>]", name)


def _claimed(path: Path) -> BinaryIO:
    """Open a draft that nobody else writes; wait for who does. The system lets go at a death."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        file = os.fdopen(handle, "r+b", buffering=0)
        try:
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()  # it was published, or removed, meanwhile
