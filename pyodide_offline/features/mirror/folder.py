"""A depot in a folder: for one machine, or for several over a filesystem with locks.

    <root>/v1/blobs/…  refs/…  leases/…    files, read-only, each whole under its key
    <root>/v1/locks/   v1/tmp/             ours

A value's file begins with a line that names the value's digest: a disk that flips a bit of
it is found out. Content is found out by its own.

Create-only is a hard link from a finished file beside, which one of any number wins;
compare-and-swap reads, compares and renames under a lock of the key.
"""

import asyncio
import contextlib
import errno
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import TypeVar

from pyodide_offline import disk
from pyodide_offline.errors import DepotDownError, StorageError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import SMALL, Entry
from pyodide_offline.features.mirror.turnstile import Turnstile

LAYOUT = "v1"
_CHUNK = 1 << 18
_STALE_S = 24 * 3600
# A filesystem that knows no hard links says one of these.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.ENOSYS)
_T = TypeVar("_T")


class FolderDepot:
    """The folder, made when it is not there. Raises DepotDownError where it cannot be."""

    def __init__(self, root: Path) -> None:
        self.label = f"folder {root}"
        self._base = root / LAYOUT
        with _told(self.label):
            for name in ("tmp", "locks"):
                (self._base / name).mkdir(parents=True, exist_ok=True)
            self._drop_leftovers()
        self._turnstile = Turnstile(self._base / "locks")
        # Of its own: what waits for a disk must not wait for those who wait for a network.
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="depot")

    async def head(self, key: str) -> Entry | None:
        """Say whether a key is there."""
        return await self._do(self._head, self._path(key), key)

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a small value and its etag."""
        return await self._do(_content if key.startswith(names.BLOBS) else _value, self._path(key))

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``; KeyError for what is not there."""
        if not key.startswith(names.BLOBS):
            if (found := await self.get(key)) is None:
                raise KeyError(key)
            yield found[0][start:stop]
            return
        try:
            file = await self._do(_opened, self._path(key))
        except FileNotFoundError:
            raise KeyError(key) from None
        with file:
            await self._do(file.seek, start)
            left = stop - start if stop is not None else None
            while left is None or left > 0:
                size = _CHUNK if left is None else min(_CHUNK, left)
                if not (data := await self._do(file.read, size)):
                    return
                left = left - len(data) if left is not None else None
                yield data

    async def create(self, key: str, source: bytes | Path) -> bool:
        """Write a key that is not there; False if it was, whatever its value."""
        return await self._do(self._create, self._path(key), key, source)

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        """Replace the value of this etag (None: create); return the new etag, None if lost."""
        return await self._do(self._swap, self._path(key), key, value, etag)

    async def remove(self, key: str) -> None:
        """Remove a key; nothing happens when it is not there."""
        await self._do(self._remove, self._path(key), key)

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies under a prefix (empty, or ending with ``/``)."""
        for key in await self._do(_keys, self._base, names.checked_prefix(prefix)):
            try:
                entry = await self.head(key)
            except DepotDownError:  # a damaged value is there all the same
                entry = Entry(key, 0, None)
            if entry is not None:
                yield entry

    async def local_path(self, key: str) -> Path | None:
        """Return the file itself."""
        path = self._path(key)
        return path if await self._do(path.is_file) else None

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    def _path(self, key: str) -> Path:
        return self._base / names.checked(key)

    async def _do(self, function: Callable[..., _T], *arguments: object) -> _T:
        with _told(self.label):
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, function, *arguments
            )

    def _head(self, path: Path, key: str) -> Entry | None:
        if key.startswith(names.BLOBS):
            try:
                return Entry(key, path.stat().st_size, None)
            except FileNotFoundError:
                return None
        found = _value(path)
        return Entry(key, len(found[0]), found[1]) if found else None

    def _create(self, path: Path, key: str, source: bytes | Path) -> bool:
        if path.exists():
            return False
        with self._finished(_filed(key, source)) as temporary:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                with self._turnstile.passing(key):
                    if path.exists():
                        return False
                    temporary.replace(path)
        disk.fsync(path.parent)
        return True

    def _swap(self, path: Path, key: str, value: bytes, etag: str | None) -> str | None:
        if etag is None:
            return _etag(value) if self._create(path, key, value) else None
        with self._finished(_filed(key, value)) as temporary, self._turnstile.passing(key):
            found = _value(path)
            if found is None or found[1] != etag:
                return None
            temporary.replace(path)
            disk.fsync(path.parent)
        return _etag(value)

    def _remove(self, path: Path, key: str) -> None:
        with self._turnstile.passing(key):
            path.unlink(missing_ok=True)

    @contextmanager
    def _finished(self, source: bytes | Path) -> Iterator[Path]:
        """Yield a whole file on the disk beside, with the source's bytes."""
        handle, name = tempfile.mkstemp(dir=self._base / "tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                if isinstance(source, bytes):
                    file.write(source)
                else:
                    with source.open("rb") as original:
                        while data := original.read(1 << 20):
                            file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o444)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _drop_leftovers(self) -> None:
        """Remove what a process left that was killed, long ago: others may be at work."""
        for path in (self._base / "tmp").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()


def _keys(base: Path, prefix: str) -> list[str]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error  # what cannot be listed is not nothing

    found = []
    for folder, folders, files in os.walk(base / prefix, onerror=fail):
        where = Path(folder).relative_to(base)
        if where == Path():
            folders[:] = [name for name in folders if name not in ("tmp", "locks")]
        found += [(where / name).as_posix() for name in files]
    return found


def _opened(path: Path) -> FileIO:
    return path.open("rb", buffering=0)


def _filed(key: str, source: bytes | Path) -> bytes | Path:
    """Return what a key's file holds."""
    if key.startswith(names.BLOBS):
        return source
    value = source if isinstance(source, bytes) else source.read_bytes()
    return f"{sha256(value).hexdigest()}\n".encode() + value


def _content(path: Path) -> tuple[bytes, str] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return data, _etag(data)


def _value(path: Path) -> tuple[bytes, str] | None:
    try:
        with path.open("rb") as file:
            line, value = file.readline(80), file.read(SMALL)
    except FileNotFoundError:
        return None
    if line != f"{sha256(value).hexdigest()}\n".encode():
        raise OSError(f"{path} is damaged")
    return value, _etag(value)


def _etag(value: bytes) -> str:
    return f'"{sha256(value).hexdigest()}"'


@contextmanager
def _told(label: str) -> Iterator[None]:
    """Turn what the system says of a disk into DepotDownError; a missing file passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, StorageError) as error:
        said = error.strerror if isinstance(error, OSError) else error.what
        raise DepotDownError(
            f"The mirror's store ({label}) cannot be used: {said or error}.",
            next_step="See that the folder is there, writable, and on a disk with room.",
        ) from error
