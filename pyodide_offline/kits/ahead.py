"""A kit's blobs hashed ahead of its reading, several at once: for a file on a disk only.

What comes out is a hint. A blob that was hashed right need not be read once more; any other
is read in order as ever, so that each fault is found and named in one place (``reading``).
"""

import hashlib
import io
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyodide_offline.kits import layout
from pyodide_offline.kits.reading import Head, Source

# More threads than this would wait for memory.
_MOST = 4
_CHUNK = 1 << 20
# Returns whether the blob of a digest lies whole where it belongs; waits for it.
Hint = Callable[[str], bool]


@contextmanager
def hashing(source: Source, head: Head) -> Iterator[Hint | None]:
    """Hash the blobs of a kit while the block runs. None where its source is no plain file."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    plain = isinstance(source, io.FileIO) and stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    if not plain or count < 2 or not hasattr(os, "preadv"):
        yield None
        return
    assert isinstance(source, io.FileIO)  # noqa: S101 - for the type checker
    work = _Work(source.fileno(), head)
    threads = [threading.Thread(target=work.run) for _ in range(min(_MOST, count))]
    for thread in threads:
        thread.start()
    try:
        yield work.whole
    finally:
        work.over = True
        for thread in threads:
            thread.join()


class _Work:
    """Blobs to hash, in the order in which they lie, and what came of it."""

    def __init__(self, file: int, head: Head) -> None:
        self.over = False
        self._file = file
        places = layout.places(head.manifest, head.data, head.signatures)
        members = layout.blobs(head.manifest, head.data, head.signatures)
        self._waiting = iter([(one.sha256, places[one.sha256], one.size) for one in members])
        self._listed = frozenset(places)
        self._done: dict[str, bool] = {}
        self._changed = threading.Condition()

    def run(self) -> None:
        """Hash until nothing is left. Nothing is raised: what cannot be read is not whole."""
        buffer = memoryview(bytearray(_CHUNK))
        while not self.over:
            with self._changed:
                job = next(self._waiting, None)
            if job is None:
                return
            sha256, place, size = job
            try:
                whole = self._hashed(buffer, place, size) == sha256
            except OSError:
                whole = False
            with self._changed:
                self._done[sha256] = whole
                self._changed.notify_all()

    def whole(self, sha256: str) -> bool:
        """Say whether a blob was hashed right, once that is known."""
        if sha256 not in self._listed:
            return False
        with self._changed:
            self._changed.wait_for(lambda: sha256 in self._done)
            return self._done[sha256]

    def _hashed(self, buffer: memoryview, place: int, size: int) -> str:
        hasher = hashlib.sha256()
        while size and not self.over:
            count = os.preadv(self._file, [buffer[: min(size, _CHUNK)]], place)
            if not count:
                break
            hasher.update(buffer[:count])
            place, size = place + count, size - count
        return hasher.hexdigest() if not size else ""
