"""What a front hands out, on its own disk: whole files, each with its digest verified.

    <folder>/v1/blobs/sha256/ab/abcd…   read-only; several processes may share them
    <folder>/v1/tmp/                    files that are not finished

Where the depot is a folder of this machine its own files are handed out, and nothing is
copied. Verified once, a file is remembered by its identity (device, inode, size, both
times to the nanosecond): while that stands it is not read again, and any write changes it.
A file with a wrong digest is removed, from the depot too: it is a miss then, and fetched
again from where it came.

The cache is bounded (`shelf`). A full disk makes it give way; what does not fit at all is
passed through by who asked. Nothing is fsynced: after a loss of power each file is hashed
before its first use anyway, and the depot has it.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline.digest import Digest
from pyodide_offline.errors import DepotDownError, IntegrityError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.shelf import Shelf

LAYOUT = "v1"
LIMIT = 20 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT)
_Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class _Verified:
    path: Path
    identity: _Identity


class DiskCache:
    """Blobs on this disk, in front of a depot.

    ``damaged`` is told of each wrong file: its key, and where it lay. Raises StorageError
    where the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        depot: Depot,
        *,
        limit: int = LIMIT,
        damaged: Callable[[str, str], None] | None = None,
    ) -> None:
        self.depot = depot
        self._base = folder / LAYOUT
        self._damaged = damaged or (lambda *_: None)
        with disk.guarded(self._base):
            (self._base / "tmp").mkdir(parents=True, exist_ok=True)
            self.shelf = Shelf(self._base, limit)
        self._verified: dict[str, _Verified] = {}
        self._coming: dict[str, asyncio.Task[Path | None]] = {}

    def known(self, digest: Digest) -> Path | None:
        """Return a file that was verified before and has not changed: one look at the disk."""
        key = names.blob_key(digest.algorithm, digest.hex)
        found = self._verified.get(key)
        if found is None or _identity(found.path) != found.identity:
            return None
        self.shelf.used(key)
        return found.path

    async def path(self, digest: Digest) -> Path | None:
        """Return a file with this digest: held, or out of the depot; None where neither has it.

        Raises DepotDownError when it is not held and the depot does not answer, and
        StorageError when it does not fit on the disk: the depot's `read` still serves then.
        """
        if (known := self.known(digest)) is not None:
            return known
        key = names.blob_key(digest.algorithm, digest.hex)
        if (task := self._coming.get(key)) is None:
            task = asyncio.create_task(self._found(key, digest))
            self._coming[key] = task
            task.add_done_callback(lambda done: self._came(key, done))
        # One who goes away must not take it from the others who wait for the same.
        return await asyncio.shield(task)

    async def admit(self, digest: Digest, temporary: Path) -> Path:
        """Take a finished file in, hashed once more; it is moved, or copied from another disk.

        Raises IntegrityError and StorageError.
        """
        return await asyncio.to_thread(self._admit, digest, temporary)

    @contextmanager
    def unfinished(self) -> Iterator[Path]:
        """Yield a new file on the cache's disk, gone afterwards unless it was admitted."""
        with disk.guarded(self._base):
            handle, name = tempfile.mkstemp(dir=self._base / "tmp")
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _came(self, key: str, done: asyncio.Task[Path | None]) -> None:
        self._coming.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits for it any more

    async def _found(self, key: str, digest: Digest) -> Path | None:
        held = self._base / key
        if await asyncio.to_thread(self._is_whole, key, held, digest):
            return held
        if (own := await self.depot.local_path(key)) is not None:
            if await asyncio.to_thread(self._is_whole, key, own, digest):
                return own
            if await self.depot.local_path(key) is not None:
                await self._drop(key)
            return None
        for _ in range(2):  # what came wrong once may have been the way, not the store
            with self.unfinished() as temporary:
                try:
                    came = await self._copy(key, digest.algorithm, temporary)
                except KeyError:
                    return None
                if came == digest:
                    return await asyncio.to_thread(self._admit, digest, temporary, came)
        await self._drop(key)
        return None

    async def _drop(self, key: str) -> None:
        self._damaged(key, self.depot.label)
        with contextlib.suppress(DepotDownError):
            await self.depot.remove(key)

    async def _copy(self, key: str, algorithm: str, target: Path) -> Digest:
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        with disk.guarded(target), target.open("wb", buffering=0) as file:
            async for data in self.depot.read(key):
                hasher.update(data)
                await asyncio.to_thread(self._write, file, data)
        return Digest(algorithm, hasher.digest())

    def _write(self, file: FileIO, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[file.write(left) :]
            except OSError as error:
                if error.errno not in _FULL or not self.shelf.give_way(len(left)):
                    raise

    def _is_whole(self, key: str, path: Path, digest: Digest) -> bool:
        """Hash a file that is there; a wrong one of ours is removed."""
        before = _identity(path)
        if before is None:
            return False
        try:
            came = digests.of_file(path, digest.algorithm)
        except OSError:
            return False
        if came == digest and _identity(path) == before:
            self._verified[key] = _Verified(path, before)
            self.shelf.used(key)
            return True
        if path == self._base / key:
            self._damaged(key, "cache")
            path.unlink(missing_ok=True)
            self.shelf.gone(key)
        return False

    def _admit(self, digest: Digest, temporary: Path, came: Digest | None = None) -> Path:
        key = names.blob_key(digest.algorithm, digest.hex)
        target = self._base / key
        with disk.guarded(target):
            came = came or digests.of_file(temporary, digest.algorithm)
            if came != digest:
                raise IntegrityError(
                    f"A file for the mirror has the digest {came.short}…, not {digest.short}…."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.chmod(0o444)
            try:
                temporary.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with disk.beside(target) as near:
                    near.write_bytes(temporary.read_bytes())
                    near.chmod(0o444)
                    near.replace(target)
                temporary.unlink(missing_ok=True)
        if (identity := _identity(target)) is not None:
            self._verified[key] = _Verified(target, identity)
            self.shelf.put(key, identity[2])
        return target


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
