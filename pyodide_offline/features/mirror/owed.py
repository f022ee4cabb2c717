"""What this front fetched while the store was down: put there once it answers again."""

import asyncio
import contextlib
from pathlib import Path

from pyodide_offline.digest import Digest
from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.deposit import Deposit
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.refs import Ref

PAUSE = 5.0  # seconds between two tries
MOST = 10_000


class Owed:
    """Refs whose content the depot lacks. What a front owes is forgotten when it ends."""

    def __init__(
        self, deposit: Deposit, cache: DiskCache, events: Events, *, pause: float = PAUSE
    ) -> None:
        self._deposit = deposit
        self._cache = cache
        self._events = events
        self._pause = pause
        self._refs: dict[tuple[str, str], Ref] = {}
        self._paying: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._refs)

    def note(self, ref: Ref) -> None:
        """Let a ref be published later."""
        if len(self._refs) < MOST:
            self._refs[ref.kind, ref.name] = ref
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay())

    async def close(self) -> None:
        """Try no more."""
        if self._paying:
            self._paying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._paying

    async def _pay(self) -> None:
        while self._refs:
            await asyncio.sleep(self._pause)
            paid = 0
            with contextlib.suppress(DepotDownError):
                for key, ref in list(self._refs.items()):
                    path = self._held(ref)
                    if path:
                        await self._deposit.bring(ref, path)
                        await self._deposit.name(ref, path)
                    # What the cache gave up meanwhile is fetched again by whoever wants it.
                    self._refs.pop(key, None)
                    paid += 1
            if paid:
                self._events.note("store caught up", count=paid)

    def _held(self, ref: Ref) -> Path | None:
        return self._cache.known(Digest("sha256", bytes.fromhex(ref.digest)))
