"""A file that is wanted: held, growing, or fetched now, once for all who ask.

1. Held: the ref's content is on this front's disk, or comes there out of the depot.
2. Growing: a fetch of the same is under way in this process; whoever comes joins it.
3. Missed: fetched, by this front or another (``fetching``).

What failed is not asked for again for some seconds.
"""

import asyncio
import os
import time
from pathlib import Path

from pyodide_offline.digest import Digest
from pyodide_offline.errors import (
    DepotDownError,
    NetworkError,
    OfflineError,
    PyodideOfflineError,
    StorageError,
)
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.failed import Failed
from pyodide_offline.features.mirror.fetching import Fetching
from pyodide_offline.features.mirror.growing import Growing, Spare
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.upstream import Upstream
from pyodide_offline.features.mirror.wanted import Held, Want, sha256

# What an upstream says of a thing that it has not: no error of anybody's.
MISSING = (404, 410)


class Pull:
    """All the files that this front serves. ``folder`` is for files that grow."""

    def __init__(
        self,
        refbook: Refbook,
        cache: DiskCache,
        leases: Leases,
        upstream: Upstream,
        events: Events,
        *,
        folder: Path,
        offline: bool = False,
    ) -> None:
        self.refbook = refbook
        self.cache = cache
        self.events = events
        self.offline = offline
        self.leases = leases
        self._fetcher = Fetching(refbook, cache, leases, upstream, events)
        self._folder = folder
        self._spare = Spare()
        self._failed = Failed()
        self._growing: dict[str, Growing] = {}
        self._looking: dict[str, asyncio.Task[Held | Growing]] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}

    def held(self, kind: str, name: str) -> Held | None:
        """Return what is held for certain: one look into memory, one at the disk."""
        ref = self.refbook.known(kind, name)
        if ref is None:
            return None
        digest = sha256(ref)
        path = self.cache.known(digest)
        return Held.of(ref, path) if path else None

    async def known(self, kind: str, name: str) -> Held | None:
        """Return what is held here or in the depot; None for what must be fetched."""
        if held := self.held(kind, name):
            return held
        try:
            ref = await self.refbook.read(kind, name)
            return await self._out_of_depot(ref) if ref else None
        except DepotDownError:
            if self.offline:
                raise
            return None

    async def file(self, want: Want) -> Held | Growing:
        """Return a file as it is held, or as it grows. The caller reads ``chunks`` of it.

        Raises OfflineError, and what was raised a moment ago for the same.
        """
        if (held := self.held(want.kind, want.name)) and want.fits(held.integrity):
            if want.confirm:
                await want.confirm(held.digest)
            return held
        if growing := self._growing.get(want.key):
            return growing
        self._failed.check(want.key)
        if (task := self._looking.get(want.key)) is None:
            task = asyncio.create_task(self._look(want))
            self._looking[want.key] = task
            task.add_done_callback(lambda done: self._looked(want.key, done))
        # One who goes away must not take it from the others who wait for the same.
        return await asyncio.shield(task)

    async def whole(self, want: Want) -> Held:
        """Return a file once it is held. Raises what fetching raises, StorageError."""
        file = await self.file(want)
        if isinstance(file, Held):
            return file
        fetching = self._fetching.get(want.key)
        await file.settled()
        if fetching:
            await asyncio.wait([fetching])
        if held := await self.known(want.kind, want.name):
            return held
        raise StorageError(
            f"{want.name} was fetched, but there is no room to keep it.",
            next_step="Make room on the mirror's disk.",
        )

    async def keep(self, ref: Ref, content: bytes) -> Held:
        """Publish a file that was made here (extracted, imported). Raises as stores do."""
        growing = self._new(ref.name, sha256(ref), len(content))
        try:
            growing.begin(len(content))
            await asyncio.to_thread(growing.append, content)
            growing.finish()
            path = await self._fetcher.publish(ref, growing)
        finally:
            self._drop(growing)
        if path is None:
            raise StorageError(
                f"There is no room for {ref.name}.", next_step="Make room on the mirror's disk."
            )
        return Held.of(ref, path)

    async def renew(self, ref: Ref, content: bytes) -> None:
        """Publish what is said anew of content that is held. Raises DepotDownError."""
        await self._fetcher.deposit.name(ref, content)

    async def idle(self) -> None:
        """Wait until nothing is fetched any more and all that came is published."""
        while tasks := list(self._fetching.values()):
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """End all fetches; their readers hear of it."""
        for growing in list(self._growing.values()):
            growing.fail(NetworkError(f"{growing.label} was not fetched: the mirror stops."))
        await self._fetcher.owed.close()
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def under_way(self) -> int:
        """How many fetches there are."""
        return len(self._growing)

    # -- inside ---------------------------------------------------------------------

    def _looked(self, key: str, done: asyncio.Task[Held | Growing]) -> None:
        self._looking.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits for it any more

    async def _look(self, want: Want) -> Held | Growing:
        held = await self.known(want.kind, want.name)
        if held and not want.fits(held.integrity):
            held = None
        if held is None and want.expected and want.expected.algorithm == "sha256":
            held = await self._by_digest(want, want.expected)
        if held:
            if want.confirm:
                await want.confirm(held.digest)
            self.refbook.note(want.kind, want.name)
            return held
        if self.offline:
            raise OfflineError(
                f"{want.name} is not in the mirror, and it is told to be offline.",
                next_step="Fill it where there is a network: pyodide-offline mirror sync",
            )
        self.events.miss(want.kind, want.name)
        growing = self._new(want.name, want.expected, want.limit)
        self._growing[want.key] = growing
        task = asyncio.create_task(self._fetch(want, growing))
        self._fetching[want.key] = task
        task.add_done_callback(lambda _: self._fetching.pop(want.key, None))
        return growing

    async def _by_digest(self, want: Want, digest: Digest) -> Held | None:
        """Return content that came under another name."""
        try:
            path = await self.cache.path(digest)
        except (DepotDownError, StorageError):
            return None
        if path is None:
            return None
        size = (await asyncio.to_thread(path.stat)).st_size
        now = int(time.time())
        ref = Ref(want.kind, want.name, digest.hex, size, want.content_type, now, digest.sri)
        await self._fetcher.put(ref, path)  # what nobody names would go one day
        return Held.of(ref, path)

    async def _out_of_depot(self, ref: Ref) -> Held | None:
        digest = sha256(ref)
        try:
            path = await self.cache.path(digest)
        except StorageError as error:  # the disk is full: fetched again, and passed through
            self.events.error("cache", error)
            return None
        return Held.of(ref, path) if path else None

    def _new(self, label: str, expected: Digest | None, limit: int) -> Growing:
        path = self._folder / f"{os.getpid()}-{os.urandom(8).hex()}"
        return Growing(path, label=label, expected=expected, limit=limit, spare=self._spare)

    def _drop(self, growing: Growing) -> None:
        growing.path.unlink(missing_ok=True)
        growing.release()

    async def _fetch(self, want: Want, growing: Growing) -> None:
        try:
            await self._fetcher.fetch(want, growing)
            if want.confirm is None:  # what another front fetched is else confirmed when asked for
                self.refbook.note(want.kind, want.name)
        except PyodideOfflineError as error:
            self._gone_wrong(want, growing, error)
        except OSError as error:
            what = StorageError(f"{want.name} could not be kept: {error.strerror or error}.")
            self._gone_wrong(want, growing, what)
        except Exception as error:
            self.events.error("pull", f"{type(error).__name__}: {error}")
            growing.fail(StorageError(f"{want.name} could not be fetched: a fault of ours."))
        finally:
            self._growing.pop(want.key, None)
            self._drop(growing)

    def _gone_wrong(self, want: Want, growing: Growing, error: PyodideOfflineError) -> None:
        if growing.digest is None:
            growing.fail(error)
            self._failed.note(want.key, error)
        if error.facts.get("status") not in MISSING:
            self.events.error("upstream", error)
