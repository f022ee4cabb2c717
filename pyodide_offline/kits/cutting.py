"""A kit's bytes on their way to one file, or to volumes: whole at the end, or nothing.

Who writes need not know which: both take the bytes in their order. Volumes get their names
after all of them are on the disk, and then older ones of that name with higher numbers go.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, SettingsError, StorageError
from pyodide_offline.kits import drafts, volumes
from pyodide_offline.kits.drafts import Draft, draft
from pyodide_offline.kits.volumes import HEAD, Volume


class Sink(Protocol):
    """Takes a kit's bytes."""

    def write(self, data: bytes | memoryview, /) -> None: ...  # noqa: D102


@contextmanager
def whole(target: Path) -> Iterator[Sink]:
    """Yield the sink of one file, which is there when the block ends well. Raises StorageError."""
    with disk.guarded(target), draft(target) as found:
        yield found
        found.finish()
        found.publish()
    drafts.sweep(target)


def plan(kit: str, total: int, size: int) -> list[Volume]:
    """Return volumes of at most ``size`` bytes for a kit, as even as may be; digests are open.

    ``kit`` is its manifest's digest. Raises SettingsError for a size that holds nothing.
    """
    if size <= 2 * HEAD:
        raise SettingsError(
            f"A volume of {size} bytes holds nothing.", next_step="Name more: --volume-size 650MB"
        )
    count = -(-total // (size - HEAD))
    if count > volumes.MOST:
        raise SettingsError(
            f"That would be {count} volumes, more than {volumes.MOST}.",
            next_step="Name a larger size: --volume-size 650MB",
        )
    even = -(-total // count)
    return [
        Volume(kit, at // even + 1, count, at, min(even, total - at), total, "0" * 64)
        for at in range(0, total, even)
    ]


def names(target: Path, count: int) -> list[Path]:
    """Return the files of a kit's volumes: ``my.kit.001`` and so on."""
    return [target.with_name(f"{target.name}.{number:03}") for number in range(1, count + 1)]


@contextmanager
def in_volumes(target: Path, planned: list[Volume]) -> Iterator[Sink]:
    """Yield the sink of ``names(target)``. Raises StorageError, IntegrityError for the size."""
    files = names(target, len(planned))
    with disk.guarded(target), ExitStack() as stack:
        cutter = _Cutter(planned, files, stack)
        yield cutter
        for one in cutter.finished():
            one.publish()
        _tidy(target, files)
    drafts.sweep(target)


class _Cutter:
    def __init__(self, planned: list[Volume], files: list[Path], stack: ExitStack) -> None:
        self._planned, self._files, self._stack = planned, files, stack
        self._drafts: list[Draft] = []
        self._hasher, self._room = hashlib.sha256(), 0

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            if not self._room:
                self._next()
            piece, rest = rest[: self._room], rest[self._room :]
            self._hasher.update(piece)
            self._drafts[-1].write(piece)
            self._room -= len(piece)
            if not self._room:
                self._end()

    def finished(self) -> list[Draft]:
        if self._room or len(self._drafts) != len(self._planned):
            raise IntegrityError("The kit became shorter while it was written.")
        return self._drafts

    def _next(self) -> None:
        if len(self._drafts) == len(self._planned):
            raise IntegrityError("The kit became longer while it was written.")
        found = self._stack.enter_context(draft(self._files[len(self._drafts)]))
        self._drafts.append(found)
        volume = self._planned[len(self._drafts) - 1]
        found.write(volume.encode())
        self._hasher, self._room = hashlib.sha256(), volume.size

    def _end(self) -> None:
        found, volume = self._drafts[-1], self._planned[len(self._drafts) - 1]
        found.file.seek(0)
        found.write(replace(volume, sha256=self._hasher.hexdigest()).encode())
        found.finish()


def _tidy(target: Path, files: list[Path]) -> None:
    """Remove older volumes that now belong to nothing; what is no volume stays."""
    for stale in target.parent.glob(f"{drafts.plain(target.name)}.[0-9][0-9][0-9]"):
        if stale in files:
            continue
        try:
            with stale.open("rb") as file:
                unwanted = volumes.is_volume(file)
        except OSError as error:
            raise StorageError(f"{stale} cannot be read: {error.strerror}.") from error
        if unwanted:
            stale.unlink()
