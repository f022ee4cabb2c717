"""What nobody needs any more goes out of a store, beside running fronts: old indexes' contents,
leases that were given back, what a killed front left of a fetch under way.

1. What no name stands for, and a lease or share that is as it was, is noted in the store,
   with the time. Nothing is removed by the run that sees it first.
2. What a later run finds noted, a day before or longer, is removed if it has no name then
   either. It is announced before the names are read (`removal`): a front that gives it a name
   from there on keeps it.
3. A lease is taken before it goes, so that nobody else takes it meanwhile.

A name that cannot be read may stand for anything: then nothing is removed.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pyodide_offline.errors import DepotDownError, StorageError
from pyodide_offline.features.mirror import names, refs, removal
from pyodide_offline.features.mirror.depot import Depot, Entry
from pyodide_offline.features.mirror.leases import Lease, Leases
from pyodide_offline.features.mirror.sharing import SHARES

DAY_S = 24 * 3600.0
MOST = 20_000  # noted at once; the others are seen when these are gone
NOTED = names.ref_key("prune", "noted")
_AT_ONCE = 16
_T = TypeVar("_T")
_PATIENCE = 2.0  # terms of a lease: a run that was killed is found out in 1.25


@dataclass(frozen=True)
class Pruned:
    """What went: contents, their bytes, leases and pieces; and what waits for its day."""

    contents: int = 0
    size: int = 0
    leftovers: int = 0
    waiting: int = 0


class Pruning:
    """One run over a depot. ``age`` is how long a thing must have been noted, in seconds."""

    def __init__(
        self,
        depot: Depot,
        *,
        age: float = DAY_S,
        clock: Callable[[], float] = time.time,
        leases: Leases | None = None,
    ) -> None:
        self._depot = depot
        self._age = age
        self._clock = clock
        self._leases = leases or Leases(depot)

    async def run(self, *, dry: bool = False) -> Pruned:
        """Remove what was noted long ago, note the rest; ``dry`` only counts.

        Raises StorageError for a name that cannot be read and while another run is at work,
        DepotDownError.
        """
        if dry:
            return await self._run(None)
        async with await self._begun() as lease:
            try:
                return await self._run(lease)
            finally:
                # Else another run may have begun, and announced something.
                if not lease.lost.is_set():
                    with contextlib.suppress(DepotDownError):
                        await removal.announce(self._depot, ())

    async def _begun(self) -> Lease:
        until = time.monotonic() + _PATIENCE * self._leases.term
        while (lease := await self._leases.take(removal.RUN)) is None:
            if time.monotonic() > until:
                raise StorageError(
                    f"Another `mirror prune` is at work in the store ({self._depot.label}).",
                    next_step="Wait until it has ended, or let it do.",
                )
            await asyncio.sleep(self._leases.term / 6)
        return lease

    async def _run(self, lease: Lease | None) -> Pruned:
        found, etag = await self._noted()
        there = {_mark(entry): entry async for entry in self._listed()}
        now = self._clock()
        since = {mark: min(found.get(mark, now), now) for mark in there}
        ripe = {mark for mark in there if mark in found and since[mark] <= now - self._age}
        if lease:
            keys = {there[mark].key for mark in ripe}
            await removal.announce(self._depot, filter(_is_content, keys))
        named = await self._named()
        unneeded = {mark: entry for mark, entry in there.items() if entry.key not in named}
        ripe &= unneeded.keys()
        gone = [unneeded[mark] for mark in sorted(ripe)]
        if lease:
            gone = await self._removed(gone, lease)
            left = sorted((since[mark], mark) for mark in unneeded.keys() - ripe)
            value = json.dumps({mark: int(noted) for noted, mark in left[:MOST]}).encode()
            await self._depot.swap(NOTED, value, etag)
        contents = [entry for entry in gone if _is_content(entry.key)]
        return Pruned(
            contents=len(contents),
            size=sum(entry.size for entry in contents),
            leftovers=len(gone) - len(contents),
            waiting=len(unneeded) - len(ripe),
        )

    async def _noted(self) -> tuple[dict[str, float], str | None]:
        found = await self._depot.get(NOTED)
        if found is None:
            return {}, None
        try:
            noted = {str(mark): float(since) for mark, since in json.loads(found[0]).items()}
        except (ValueError, TypeError, AttributeError):
            noted = {}
        return noted, found[1]

    async def _listed(self) -> AsyncIterator[Entry]:
        """Yield all contents, leases and shares as they are."""
        async for entry in self._depot.list(names.BLOBS):
            if names.digest_of(entry.key) is not None:
                yield entry
        for prefix in (names.LEASES, SHARES):
            async for entry in self._depot.list(prefix):
                if entry.key == names.lease_key(removal.RUN):
                    continue
                seen = entry if entry.etag else await self._depot.head(entry.key)
                if seen is not None:
                    yield seen

    async def _named(self) -> set[str]:
        """Return the keys of all contents that a name stands for."""
        keys = [
            entry.key
            async for entry in self._depot.list(names.REFS)
            if entry.key.split("/")[1] not in refs.OWN
        ]
        named: set[str] = set()
        for some in _batches(keys):
            named.update(*await asyncio.gather(*(self._stands_for(key) for key in some)))
        return named

    async def _stands_for(self, key: str) -> set[str]:
        found = await self._depot.get(key)
        if found is None:  # gone since it was listed
            return set()
        kind = key.removeprefix(names.REFS).rpartition("/")[0]
        try:
            name = str(json.loads(found[0])["name"])
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"What the store holds as {key} cannot be read, so nothing is removed.",
                next_step="Type: pyodide-offline mirror audit",
            ) from None
        return {names.blob_key("sha256", refs.decode(found[0], kind, name).digest)}

    async def _removed(self, entries: list[Entry], lease: Lease) -> list[Entry]:
        """Remove these, and return those that went."""
        gone: list[Entry] = []
        for some in _batches(entries):
            if lease.lost.is_set():
                raise DepotDownError(
                    f"The mirror's store ({self._depot.label}) was silent for too long: "
                    "another run of `mirror prune` may have begun.",
                    next_step="Run it again.",
                )
            went = await asyncio.gather(*(self._remove(entry) for entry in some))
            gone += [entry for entry, is_gone in zip(some, went, strict=True) if is_gone]
        return gone

    async def _remove(self, entry: Entry) -> bool:
        """Remove it, if it is still what was listed."""
        if entry.key.startswith(names.LEASES):
            return await self._leases.retire(entry.key, entry.etag or "")
        if not _is_content(entry.key):
            seen = await self._depot.head(entry.key)
            if seen is None or seen.etag != entry.etag:
                return False
        await self._depot.remove(entry.key)
        return True


def _is_content(key: str) -> bool:
    return key.startswith(names.BLOBS)


def _mark(entry: Entry) -> str:
    """Return what stands for a thing as it is: content never changes, the others do."""
    return entry.key if _is_content(entry.key) else f"{entry.key} {entry.etag}"


def _batches(things: list[_T]) -> Iterable[list[_T]]:
    return (things[start : start + _AT_ONCE] for start in range(0, len(things), _AT_ONCE))
