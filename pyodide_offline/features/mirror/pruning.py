"""What nobody needs any more goes out of a store, beside running fronts: old indexes' contents,
leases that were given back, what a killed front left of a fetch under way.

1. What is there is listed first, then the names are read: content that a front writes
   meanwhile is not listed yet, and named soon.
2. What no name stands for, and a lease or share that is as it was, is noted in the store,
   with the time. Nothing is removed by the run that sees it first.
3. What a later run finds noted, a day before and without a break, is removed.

A name that cannot be read may stand for anything: then nothing is removed. A front that gives
content its name again in the very moment in which that goes, fetches it again at the next
request: what is missing is a miss.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from pyodide_offline.errors import StorageError
from pyodide_offline.features.mirror import names, refs
from pyodide_offline.features.mirror.depot import Depot, Entry
from pyodide_offline.features.mirror.sharing import SHARES

DAY_S = 24 * 3600.0
MOST = 20_000  # noted at once; the others are seen when these are gone
NOTED = names.ref_key("prune", "noted")
_AT_ONCE = 16


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
        self, depot: Depot, *, age: float = DAY_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._depot = depot
        self._age = age
        self._clock = clock

    async def run(self, *, dry: bool = False) -> Pruned:
        """Remove what was noted long ago, note the rest; ``dry`` only counts.

        Raises StorageError for a name that cannot be read, DepotDownError.
        """
        found, etag = await self._noted()
        there = {_mark(entry): entry async for entry in self._unneeded()}
        now = self._clock()
        since = {mark: min(found.get(mark, now), now) for mark in there}
        ripe = [mark for mark, noted in since.items() if mark in found and noted <= now - self._age]
        gone = [there[mark] for mark in ripe if dry or await self._remove(there[mark])]
        if not dry:
            left = sorted((noted, mark) for mark, noted in since.items() if mark not in ripe)
            value = json.dumps({mark: int(noted) for noted, mark in left[:MOST]}).encode()
            await self._depot.swap(NOTED, value, etag)  # lost: another run has just been here
        contents = [entry for entry in gone if entry.key.startswith(names.BLOBS)]
        return Pruned(
            contents=len(contents),
            size=sum(entry.size for entry in contents),
            leftovers=len(gone) - len(contents),
            waiting=len(there) - len(ripe),
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

    async def _unneeded(self) -> AsyncIterator[Entry]:
        contents, others = [], []
        async for entry in self._depot.list(names.BLOBS):
            if names.digest_of(entry.key) is not None:
                contents.append(entry)
        for prefix in (names.LEASES, SHARES):
            others += [entry async for entry in self._depot.list(prefix)]
        named = await self._named()
        for entry in contents:
            if entry.key not in named:
                yield entry
        for entry in others:
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

    async def _remove(self, entry: Entry) -> bool:
        """Remove it, if it is still what was listed."""
        if not entry.key.startswith(names.BLOBS):
            seen = await self._depot.head(entry.key)
            if seen is None or seen.etag != entry.etag:
                return False
        await self._depot.remove(entry.key)
        return True


def _mark(entry: Entry) -> str:
    """Return what stands for a thing as it is: content never changes, the others do."""
    return entry.key if entry.key.startswith(names.BLOBS) else f"{entry.key} {entry.etag}"


def _batches(keys: list[str]) -> Iterable[list[str]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))
