"""The mirror's log: signed entries, each with the digest of the one before; added at its end.

    refs/chain/<number>.<sha256>    an entry, written once, never changed
    refs/chain-head/head            which one is the last; the swap of it makes an entry count

Rules:
1. An entry holds its number, the digest of the entry before it, the time, and records.
2. It is signed (Ed25519) by a key that this front trusts; an entry by another key, a number
   or a digest that does not fit is an error, and nothing is added after it.
3. A front remembers the last head that it saw, outside the store. A head that does not lead
   back to it (rolled back, forked, begun anew) is an error.
The time is the writing front's word, and nothing is decided by it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from pyodide_offline import disk
from pyodide_offline.errors import DepotDownError, IntegrityError, SettingsError
from pyodide_offline.features.mirror import entries, names
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.entries import Entry, Link, Record
from pyodide_offline.kits.signature import PublicKey
from pyodide_offline.kits.signing import SecretKey

HEAD = names.ref_key("chain-head", "head")
_TRIES = 200


class Chain:
    """The chain in one depot, added to with ``key``, believed when signed by a trusted key.

    ``memory`` is a file of this machine for the last head seen.
    """

    def __init__(
        self,
        depot: Depot,
        key: SecretKey | None,
        trusted: Iterable[PublicKey] = (),
        memory: Path | None = None,
    ) -> None:
        self._depot = depot
        self._key = key
        self.trusted = {one.value: one for one in (*trusted, *([key.public] if key else []))}
        self._memory = memory
        self._seen = remembered(memory)

    async def head(self) -> Link:
        """Return the last link, having gone from it back to the one seen before.

        Raises IntegrityError where it does not lead there, DepotDownError.
        """
        return (await self._head())[0]

    async def append(self, records: Sequence[Record]) -> Link:
        """Add an entry; whoever is first among several fronts, all of theirs get in.

        Raises IntegrityError, DepotDownError.
        """
        if self._key is None:
            raise SettingsError("There is no key to sign the mirror's log with.")
        for attempt in range(_TRIES):
            head, etag = await self._head()
            data, link = entries.written(self._key, head, records)
            await self._depot.create(link.key, data)
            won = await self._depot.swap(HEAD, entries.pointer(link), etag) is not None
            if won or await self._leads_to(link):
                await self._remember(link)
                return link
            await self._depot.remove(link.key)
            await asyncio.sleep(random.uniform(0, min(0.5, 0.005 * 2**attempt)))  # noqa: S311
        raise DepotDownError(
            "The mirror's log could not be added to.", why="Others were first each time."
        )

    async def entries(self, start: Link, stop: int = 0) -> AsyncIterator[Entry]:
        """Yield entries from ``start`` back to the one after number ``stop``.

        Raises IntegrityError at the first that is missing or does not hold.
        """
        link = start
        while link.number > stop:
            entry = await self._entry(link)
            yield entry
            link = entry.previous

    async def _leads_to(self, link: Link) -> bool:
        """Say whether an entry counts, though its swap seemed lost: the store may have done
        it, and the answer to it been lost on the way.
        """
        last = head = (await self._head())[0]
        async for entry in self.entries(head, link.number):
            last = entry.previous
        return last == link

    async def _head(self) -> tuple[Link, str | None]:
        seen = self._seen  # before the store is asked: others of this process go on meanwhile
        found = await self._depot.get(HEAD)
        link = entries.pointed(found[0]) if found else Link()
        if link != seen:
            if link.number <= seen.number:
                raise _rolled_back(seen, link)
            # Without a memory the head alone is looked at: the rest is for `mirror audit`.
            stop = seen.number if seen.number else link.number - 1
            last = link
            async for entry in self.entries(link, stop):
                last = entry.previous
            if seen.number and last != seen:
                raise _rolled_back(seen, link)
            await self._remember(link)
        return link, found[1] if found else None

    async def _entry(self, link: Link) -> Entry:
        found = await self._depot.get(link.key)
        if found is None:
            raise entries.broken(link, "it is missing")
        return entries.read(found[0], link, self.trusted)

    async def _remember(self, link: Link) -> None:
        if link.number > self._seen.number:
            self._seen = link
        if self._memory is not None:
            await asyncio.to_thread(_remember, self._memory, link)


def remembered(path: Path | None) -> Link:
    """Return the last head that a front saw. Raises SettingsError."""
    if path is None or not path.exists():
        return Link()
    try:
        return entries.pointed(path.read_bytes())
    except (IntegrityError, OSError) as error:
        raise SettingsError(
            f"{path} cannot be read: which head of the mirror's log was seen is not known.",
            next_step="Run `pyodide-offline mirror audit`; if that is well, remove the file.",
        ) from error


def _remember(path: Path, link: Link) -> None:
    with disk.guarded(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if link.number > remembered(path).number:
            disk.write_whole(path, entries.pointer(link), 0o600)


def _rolled_back(seen: Link, link: Link) -> IntegrityError:
    return IntegrityError(
        f"The mirror's log ends with number {link.number} and does not lead back to number "
        f"{seen.number}, which was its end before.",
        why="It was rolled back or replaced. Nothing new is pinned until an operator has looked.",
        next_step="Run `pyodide-offline mirror audit`. After a restored backup, remove the "
        "remembered head (mirror-head-*.json beside the signing key).",
    )
