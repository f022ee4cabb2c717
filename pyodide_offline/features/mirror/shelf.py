"""Which files of a bounded folder go first: those that were not asked for the longest.

Several processes may share the folder, each with a memory of its own: so stock is taken
again now and then, and a file that is gone already is no matter.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from pyodide_offline.features.mirror import names

# What was handed out so recently is perhaps not yet opened: it stays, whatever the limit.
IN_USE_S = 60.0
_STOCK_S = 60.0
_STALE_S = 24 * 3600.0


class Shelf:
    """The files under ``base``'s blobs, kept within ``limit`` bytes."""

    def __init__(
        self, base: Path, limit: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._base = base
        self._clock = clock
        self._lock = threading.RLock()
        # Key → size and when it was last used; the one to go first is first.
        self._held: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._size = 0
        self._stock_at = 0.0
        self._take_stock()

    @property
    def size(self) -> int:
        """The bytes held, as far as this process has seen."""
        return self._size

    def __len__(self) -> int:
        return len(self._held)

    def used(self, key: str) -> None:
        """Note that a file was asked for."""
        with self._lock:
            if (found := self._held.get(key)) is not None:
                self._held[key] = (found[0], self._clock())
                self._held.move_to_end(key)

    def put(self, key: str, size: int) -> None:
        """Note a new file, and remove old ones beyond the limit."""
        with self._lock:
            self.gone(key)
            self._held[key] = (size, self._clock())
            self._size += size
            if self._clock() - self._stock_at > _STOCK_S:
                self._take_stock()
            self._shrink(self.limit)

    def gone(self, key: str) -> None:
        """Note that a file is not there any more."""
        with self._lock:
            if (found := self._held.pop(key, None)) is not None:
                self._size -= found[0]

    def give_way(self, wanted: int) -> bool:
        """Make room on a full disk, below the limit too; say whether any was made."""
        with self._lock:
            before = self._size
            self._shrink(max(0, before - wanted))
            return self._size < before

    def _shrink(self, limit: int) -> None:
        now = self._clock()
        for key, (_, used) in list(self._held.items()):
            if self._size <= limit or now - used < IN_USE_S:
                return
            (self._base / key).unlink(missing_ok=True)
            self.gone(key)

    def _take_stock(self) -> None:
        """Look what is there; files that another process put in count as not used by this one."""
        now, found = self._clock(), []
        self._stock_at = now
        for path in (self._base / names.BLOBS).rglob("*"):
            try:
                seen = path.stat()
            except FileNotFoundError:
                continue
            key = path.relative_to(self._base).as_posix()
            if path.is_file() and names.digest_of(key) is not None:
                found.append((max(seen.st_atime, seen.st_mtime), key, seen.st_size))
        old = self._held
        self._held, self._size = OrderedDict(), 0
        for _, key, size in sorted(one for one in found if one[1] not in old):
            self._held[key] = (size, now - IN_USE_S)
            self._size += size
        there = {key: size for _, key, size in found}
        for key, (_, used) in old.items():
            if key in there:
                self._held[key] = (there[key], used)
                self._size += there[key]
        self._drop_leftovers()

    def _drop_leftovers(self) -> None:
        """Remove what a process left that was killed, long ago: others may be at work."""
        for path in (self._base / "tmp").iterdir():
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()
            except FileNotFoundError:
                continue
