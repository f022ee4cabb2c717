"""A depot in memory: the same answers as the real ones (one test holds them all to it).

It can be told to be down, so that a test sees what a front does then.
"""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Entry


class MemoryDepot:
    """Values in a dictionary; ``down`` makes every method fail as a lost store does."""

    label = "memory"

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, str]] = {}
        self.down = False
        self._count = 0

    async def head(self, key: str) -> Entry | None:
        found = self._look(key)
        return Entry(key, len(found[0]), found[1]) if found else None

    async def get(self, key: str) -> tuple[bytes, str] | None:
        return self._look(key)

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        found = self._look(key)
        if found is None:
            raise KeyError(key)
        data = found[0][start:stop]
        for at in range(0, len(data), 1 << 16):
            self._look(key)
            yield data[at : at + (1 << 16)]

    async def create(self, key: str, source: bytes | Path) -> bool:
        if self._look(key) is not None:
            return False
        self._put(key, source if isinstance(source, bytes) else source.read_bytes())
        return True

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        found = self._look(key)
        if (found[1] if found else None) != etag:
            return None
        return self._put(key, value)

    async def remove(self, key: str) -> None:
        self._look(key)
        self.values.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        names.checked_prefix(prefix)
        for key, (value, etag) in list(self.values.items()):
            self._look(key)
            if key.startswith(prefix):
                yield Entry(key, len(value), etag)

    async def local_path(self, key: str) -> Path | None:
        self._look(key)
        return None

    async def close(self) -> None:
        pass

    def _look(self, key: str) -> tuple[bytes, str] | None:
        if self.down:
            raise DepotDownError("The mirror's store (memory) does not answer.")
        return self.values.get(names.checked(key))

    def _put(self, key: str, value: bytes) -> str:
        self._count += 1
        self.values[key] = (value, f'"{self._count}"')
        return self.values[key][1]


def value_of(path: Path) -> bytes:
    """Return the value in a file of a folder depot."""
    return path.read_bytes().partition(b"\n")[2]


def rewrite(path: Path, value: bytes) -> None:
    """Write another value there, as one who may write and knows the file's form does."""
    path.unlink()
    path.write_bytes(f"{sha256(value).hexdigest()}\n".encode() + value)
