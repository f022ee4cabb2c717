"""What the store holds, counted now and then beside the serving."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot

FRESH_S = 300.0


@dataclass(frozen=True)
class Count:
    """Contents and their bytes, names by kind, and when (unix seconds) that was so."""

    when: float
    blobs: int = 0
    size: int = 0
    names: Counter[str] = field(default_factory=Counter)


class Census:
    """The last count of a depot, taken again when somebody wants it and it is old."""

    def __init__(self, depot: Depot, fresh: float = FRESH_S) -> None:
        self._depot = depot
        self._fresh = fresh
        self._last: Count | None = None
        self._task: asyncio.Task[None] | None = None

    async def count(self, patience: float = 1.0) -> Count | None:
        """Return the last count; the first is waited for, for so many seconds."""
        old = self._last is None or time.time() - self._last.when > self._fresh
        if old and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._take())
        if self._last is None and self._task:
            await asyncio.wait([self._task], timeout=patience)
        return self._last

    async def _take(self) -> None:
        try:
            kinds: Counter[str] = Counter()
            async for entry in self._depot.list(names.REFS):
                kinds[entry.key.split("/")[1]] += 1
            blobs = size = 0
            async for entry in self._depot.list(names.BLOBS):
                blobs += 1
                size += entry.size
        except DepotDownError:
            return
        self._last = Count(time.time(), blobs, size, kinds)
