"""Held files by their public paths, in a folder that nginx reads: it asks no front for them.

    <folder>/open/npm/left-pad/-/left-pad-1.0.0.tgz → …/blobs/sha256/ab/abcd…
    <folder>/tokens/…     the same of a front that wants tokens: nginx must ask for them there

A link is made when a front answers for a verified file, and lives for a minute: then what
the path stands for is looked up anew. Each second every link's file is held to the identity
that was verified, and the link of a changed one goes. Files are sent by nginx as they are:
what is written into one is seen a second later, not before. While nobody looks (a front
that stops) there are no links; those that a killed front left are removed by the next.
"""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.digest import Digest
from pyodide_offline.features.mirror.names import BLOBS
from pyodide_offline.features.mirror.wanted import Held

OPEN, TOKENS = "open", "tokens"
LIFETIME_S = 60.0
EACH_S = 1.0
MOST = 4096
_LONGEST = 255


@dataclass(frozen=True)
class _Link:
    place: Path
    file: Path
    digest: Digest
    until: float


class Links:
    """Links below ``folder``; ``known`` returns a verified file that has not changed.

    Raises StorageError where the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        known: Callable[[Digest], Path | None],
        *,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        with disk.guarded(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = folder.resolve()
        self._known = known
        self._most = most
        self._clock = clock
        self._links: OrderedDict[str, _Link] = OrderedDict()  # the oldest first
        self._watched = False
        self._clear()

    def __len__(self) -> int:
        return len(self._links)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Make links while this lasts, and look after them; none is left afterwards."""
        watching = asyncio.get_running_loop().create_task(self._watch())
        watching.add_done_callback(lambda _: self._stop())
        self._watched = True
        try:
            yield
        finally:
            watching.cancel()
            self._stop()

    def add(self, path: str, file: Held) -> None:
        """Link a path to its file, from now on for a while."""
        if not self._watched or (parts := _parts(path)) is None:
            return
        place = self._folder.joinpath(*parts)
        try:
            _linked(place, file.path)
        except OSError:
            # No room on the disk, or a folder where a file should be: the front answers on.
            if path in self._links:
                self._remove(path)
            return
        self._links[path] = _Link(place, file.path, file.digest, self._clock() + LIFETIME_S)
        self._links.move_to_end(path)
        while len(self._links) > self._most:
            self._remove(next(iter(self._links)))

    async def check(self) -> None:
        """Remove each link that is old, or whose file has changed or gone."""
        seen = list(self._links.items())
        wrong = await asyncio.to_thread(lambda: [one for one in seen if not self._sound(one[1])])
        for path, link in wrong:
            if self._links.get(path) is link:
                self._remove(path)

    def _sound(self, link: _Link) -> bool:
        return self._clock() < link.until and self._known(link.digest) == link.file

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EACH_S)
            await self.check()

    def _remove(self, path: str) -> None:
        place = self._links.pop(path).place
        with suppress(OSError):
            place.unlink(missing_ok=True)
            while (place := place.parent) != self._folder:
                place.rmdir()  # until one is not empty

    def _stop(self) -> None:
        if self._watched:
            self._watched = False
            self._clear()

    def _clear(self) -> None:
        """Remove all links to blobs; what somebody else put there is none of ours."""
        self._links.clear()
        for folder, _, names in os.walk(self._folder, topdown=False):
            with suppress(OSError):
                for place in (Path(folder) / name for name in names):
                    if place.is_symlink() and BLOBS in place.readlink().as_posix():
                        place.unlink(missing_ok=True)
                if Path(folder) != self._folder:
                    Path(folder).rmdir()


def _parts(path: str) -> list[str] | None:
    parts = path.removeprefix("/").split("/")
    good = all(part not in ("", ".", "..") and len(part) <= _LONGEST for part in parts)
    return parts if good and path.isascii() and "\0" not in path else None


def _linked(place: Path, file: Path) -> None:
    """Have a link at a place lead to a file, by a path that holds wherever both are mounted."""
    target = Path(os.path.relpath(file.resolve(), place.parent))
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(target)
    except FileExistsError:
        if place.readlink() != target:
            place.unlink()
            place.symlink_to(target)
