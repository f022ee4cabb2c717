"""A store that did not answer when its front was started: down, until it is there.

A front that has served from this store before goes on with its own disk. The store is tried
as at any start (`opening`) before anything is written to it; one that may not be used then
stays down.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from pyodide_offline.errors import DepotDownError, PyodideOfflineError
from pyodide_offline.features.mirror.depot import Depot, Entry
from pyodide_offline.features.mirror.events import Events

PAUSE_S = 2.0


class LateDepot:
    """A depot, once it is opened. ``label`` is what it called itself before."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._depot: Depot | None = None

    @property
    def here(self) -> bool:
        """Whether it was opened."""
        return self._depot is not None

    async def come(
        self,
        opened: Callable[[], Awaitable[Depot]],
        begin: Callable[[], Awaitable[None]],
        events: Events,
        *,
        pause: float | None = None,
    ) -> None:
        """Try again and again; ``begin`` is what a front does first with its store."""
        while True:
            await asyncio.sleep(PAUSE_S if pause is None else pause)
            try:
                self._depot = self._depot or await opened()
                await begin()
            except DepotDownError:
                continue
            except PyodideOfflineError as error:
                await self.close()
                events.error("depot", error)
                return
            events.note("store answers", store=self.label)
            return

    async def head(self, key: str) -> Entry | None:
        """Say whether a key is there."""
        return await self._there().head(key)

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a small value and its etag."""
        return await self._there().get(key)

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``."""
        async for chunk in self._there().read(key, start=start, stop=stop):
            yield chunk

    async def create(self, key: str, source: bytes | Path) -> bool:
        """Write a key that is not there."""
        return await self._there().create(key, source)

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        """Replace the value of this etag."""
        return await self._there().swap(key, value, etag)

    async def remove(self, key: str) -> None:
        """Remove a key."""
        await self._there().remove(key)

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies under a prefix."""
        async for entry in self._there().list(prefix):
            yield entry

    async def local_path(self, key: str) -> Path | None:
        """Return the file itself, where the depot is a folder of this machine."""
        return await self._there().local_path(key)

    async def close(self) -> None:
        """Let go of it, if it was opened."""
        if self._depot:
            depot, self._depot = self._depot, None
            await depot.close()

    def _there(self) -> Depot:
        if self._depot is None:
            raise DepotDownError(
                f"The mirror's store ({self.label}) did not answer yet.",
                next_step="See that it runs and that this machine reaches it.",
            )
        return self._depot
