"""What a mirror keeps its things in: an existing store, asked for seven things.

Content is written once, under its digest, create-only. What changes (a name's present
digest, a lease, the head of a chain) is small and changes by compare-and-swap. Nothing
else is asked, so a folder, an object store and an OCI registry all serve, and any number
of fronts need no database beside them.

Every method raises DepotDownError when the store does not do what was asked, and never
gives a part for the whole: ``read`` ends well only after the last byte. A depot vouches
for no content: who reads a blob hashes it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# What `get` gives at once; a list of pins of a large package has some 400 KB.
SMALL = 8 << 20


@dataclass(frozen=True)
class Entry:
    """What a depot knows of a key; ``etag`` stands for exactly this value."""

    key: str
    size: int
    etag: str | None


class Depot(Protocol):
    """The store, by whatever engine. ``label`` is for logs and holds no secret."""

    label: str

    async def head(self, key: str) -> Entry | None:
        """Say whether a key is there."""

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a small value and its etag."""

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``; KeyError for what is not there."""

    async def create(self, key: str, source: bytes | Path) -> bool:
        """Write a key that is not there; False if it was, whatever its value."""

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        """Replace the value of this etag (None: create); return the new etag, None if lost."""

    async def remove(self, key: str) -> None:
        """Remove a key; nothing happens when it is not there."""

    def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies under a prefix (empty, or ending with ``/``), in no order."""

    async def local_path(self, key: str) -> Path | None:
        """Return the file itself, where the depot is a folder of this machine."""

    async def close(self) -> None:
        """Let go of connections and threads."""
