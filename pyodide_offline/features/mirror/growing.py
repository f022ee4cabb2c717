"""A file that grows while it is read: one writer, in a thread, and any number of readers.

- The last bytes (HELD) reach nobody before the whole has its digest. With the wrong one
  every reader gets an error in place of them, so that no client has a whole wrong body.
- Readers share one descriptor and read what the disk's cache holds; none can slow the
  writer down, and the file may be renamed or unlinked meanwhile.
- A full disk does not end it: what is left goes into memory, as much as ``Spare`` allows.
"""

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from pyodide_offline.digest import Digest, Hasher
from pyodide_offline.errors import IntegrityError, PyodideOfflineError, StorageError

HELD = 64 << 10
CHUNK = 64 << 10
SPARE = 256 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Spare:
    """How many bytes may be in memory because a disk is full; shared by all that grows."""

    def __init__(self, room: int = SPARE) -> None:
        self._room = room
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Reserve so many bytes, if there is room."""
        with self._lock:
            if size > self._room:
                return False
            self._room -= size
            return True

    def give(self, size: int) -> None:
        """Give them back."""
        with self._lock:
            self._room += size


class Growing:
    """Made in the readers' loop. ``path`` is new; ``label`` is for people.

    ``expected`` is the digest that the whole must have, None where none is known. The
    writer calls ``begin``, ``append`` and at last ``finish`` or ``fail``.
    """

    def __init__(
        self, path: Path, *, label: str, expected: Digest | None, limit: int, spare: Spare
    ) -> None:
        self.path = path
        self.label = label
        self.expected = expected
        self.total: int | None = None
        self.size = 0
        self.in_memory = False
        self.digest: Digest | None = None  # sha256, once the whole is right
        self.error: PyodideOfflineError | None = None
        self._limit = limit
        self._spare = spare
        self._reserved = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        self._told = False
        self._plain = hashlib.sha256()
        self._other: Hasher | None = None
        if expected is not None and expected.algorithm != "sha256":
            self._other = expected.hasher()
        self._users = 1
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._handle = os.memfd_create("growing")
            self.in_memory = True

    # -- the writer's side, any thread ----------------------------------------------

    def begin(self, total: int | None) -> None:
        """Say how long it will be, None if the upstream does not tell. Raises IntegrityError."""
        if total is not None and total > self._limit:
            raise self._too_long()
        if self.total is not None and total not in (None, self.total):
            raise IntegrityError(f"{self.label} changed its length while it was fetched.")
        self.total = self.total if total is None else total
        self._tell()

    def append(self, chunk: bytes) -> None:
        """Write the next bytes. Raises IntegrityError (too many), StorageError (no room)."""
        most = self._limit if self.total is None else self.total
        if self.size + len(chunk) > most:
            raise self._too_long()
        self._plain.update(chunk)
        if self._other:
            self._other.update(chunk)
        self._write(chunk)
        self.size += len(chunk)
        self._tell()

    def so_far(self) -> bytes:
        """Return the sha256 of what has been written."""
        return self._plain.copy().digest()

    def finish(self) -> Digest:
        """Check the whole and let readers have the end; returns its sha256.

        Raises IntegrityError, which readers get too.
        """
        plain = Digest("sha256", self._plain.digest())
        if error := self._wrong(plain):
            self.fail(error)
            raise error
        self.total = self.size
        self.digest = plain
        self._tell()
        return plain

    def fail(self, error: PyodideOfflineError) -> None:
        """Let every reader have this error in place of what is missing."""
        if self.digest is None and self.error is None:
            self.error = error
            self._tell()

    # -- the readers' side, the loop ------------------------------------------------

    @property
    def file(self) -> Path:
        """The whole as a file to be copied, wherever it lies and whatever its name is by now."""
        return Path(f"/proc/self/fd/{self._handle}")

    async def length(self) -> int:
        """Return the whole's length as soon as it is known. Raises what it failed with."""
        while self.total is None:
            if self.error:
                raise self.error.with_traceback(None)
            await self._change()
        return self.total

    async def settled(self) -> Digest:
        """Wait for the end; return the sha256 or raise what it failed with."""
        while self.digest is None:
            if self.error:
                raise self.error.with_traceback(None)
            await self._change()
        return self.digest

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` to before ``stop`` as they come."""
        self._users += 1
        try:
            while True:
                end = self.readable if stop is None else min(stop, self.readable)
                while start < end:
                    chunk = os.pread(self._handle, min(CHUNK, end - start), start)
                    if not chunk:
                        raise StorageError(f"{self.label} was cut while it was read.")
                    start += len(chunk)
                    yield chunk
                    end = self.readable if stop is None else min(stop, self.readable)
                if start == stop or (self.digest and start >= self.size):
                    return
                if self.error:
                    raise self.error.with_traceback(None)
                await self._change()
        finally:
            self.release()

    def release(self) -> None:
        """Drop one use; the maker's is the first. With the last one the file is closed."""
        self._users -= 1
        if self._users == 0:
            os.close(self._handle)
            self._spare.give(self._reserved)

    @property
    def readable(self) -> int:
        """How many bytes readers may have by now."""
        if self.digest:
            return self.size
        total = self.size if self.total is None else self.total
        return max(0, min(self.size, total - HELD))

    async def _change(self) -> None:
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        await waiter

    # -- inside ---------------------------------------------------------------------

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop was closed: nobody reads any more
                return

    def _wake(self) -> None:
        self._told = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _write(self, chunk: bytes) -> None:
        if self.in_memory:
            self._reserve(len(chunk))
        done = 0
        while done < len(chunk):
            try:
                done += os.pwrite(self._handle, memoryview(chunk)[done:], self.size + done)
            except OSError as error:
                if self.in_memory or error.errno not in _FULL:
                    raise
                self._reserve(self.size + len(chunk))
                self._into_memory(self.size + done)

    def _reserve(self, size: int) -> None:
        if not self._spare.take(size):
            raise StorageError(
                f"There is no room for {self.label}.",
                why="The disk is full, and so is the memory that stands in for it.",
                next_step="Make room on the mirror's disk, then ask again.",
            )
        self._reserved += size

    def _into_memory(self, size: int) -> None:
        memory = os.memfd_create("growing")
        try:
            for place in range(0, size, CHUNK):
                os.pwrite(memory, os.pread(self._handle, min(CHUNK, size - place), place), place)
            # The descriptor keeps its number, so that whoever reads it sees no change.
            os.dup2(memory, self._handle, inheritable=False)
        finally:
            os.close(memory)
        self.in_memory = True
        self.path.unlink(missing_ok=True)

    def _wrong(self, plain: Digest) -> IntegrityError | None:
        if self.total is not None and self.size != self.total:
            return IntegrityError(
                f"{self.label} has {self.size} bytes and not the {self.total} announced."
            )
        actual = plain
        if self._other and self.expected:
            actual = Digest(self.expected.algorithm, self._other.digest())
        if self.expected and actual != self.expected:
            return IntegrityError(
                f"{self.label} is not the file that it must be.",
                why=f"Expected {self.expected.sri}, got {actual.sri}.",
                next_step="A proxy or the upstream may have changed it; nothing was kept.",
            )
        return None

    def _too_long(self) -> IntegrityError:
        most = self._limit if self.total is None else min(self._limit, self.total)
        return IntegrityError(
            f"{self.label} is longer than the {most} bytes that it may have.",
            why="The upstream's answer cannot be what was asked for.",
        )
