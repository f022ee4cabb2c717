"""A file that is wanted: held, growing, or fetched now, once for all who ask.

1. Held: the ref's content is on this front's disk, or comes there out of the depot.
2. Growing: a fetch of the same is under way in this process; whoever comes joins it.
3. Missed: a lease decides which front of the fleet fetches. The others get what it has
   so far through the depot (``sharing``), then the content itself; if it dies, one of
   them takes over.

Published are first the content, then the ref. A depot that is down only costs that others
fetch the same again; a full disk only that nothing is kept. What failed is not asked for
again for some seconds.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline.digest import Digest
from pyodide_offline.errors import (
    DepotDownError,
    IntegrityError,
    NetworkError,
    OfflineError,
    PyodideOfflineError,
    RegistryError,
    StorageError,
)
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.failed import Failed
from pyodide_offline.features.mirror.growing import Growing, Spare
from pyodide_offline.features.mirror.leases import Lease, Leases
from pyodide_offline.features.mirror.owed import Owed
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.sharing import Sharing, Watching
from pyodide_offline.features.mirror.upstream import Source, Upstream

WATCH = 0.1  # seconds between two looks at another front's fetch
UPLOADS = 4  # at once, into the depot

# What an upstream says of a thing that it has not: no error of anybody's.
MISSING = (404, 410)

Judge = Callable[[Growing], Awaitable[None]]
Confirm = Callable[[Digest], Awaitable[None]]


async def _accepting(_growing: Growing) -> None:
    """Accept whatever came."""


@dataclass(frozen=True)
class Want:
    """A file of an upstream by kind and name, where it may be (best first), and what it must be.

    ``confirm`` is asked of what the store already has under the name, and raises likewise.
    ``judge`` is asked when all has come, before readers get the end; it raises what is wrong.
    """

    kind: str
    name: str
    sources: Sequence[Source]
    expected: Digest | None
    content_type: str
    limit: int
    judge: Judge = field(default=_accepting)
    confirm: Confirm | None = None

    @property
    def key(self) -> str:
        """What stands for it in leases and shares."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Held:
    """A verified file on this disk."""

    path: Path
    digest: Digest
    size: int
    content_type: str
    integrity: str


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
        self.owed = Owed(refbook, cache, events)
        self._depot = refbook.depot
        self.leases = leases
        self._upstream = upstream
        self._folder = folder
        self._spare = Spare()
        self._failed = Failed()
        self._growing: dict[str, Growing] = {}
        self._looking: dict[str, asyncio.Task[Held | Growing]] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._uploads = asyncio.Semaphore(UPLOADS)

    def held(self, kind: str, name: str) -> Held | None:
        """Return what is held for certain: one look into memory, one at the disk."""
        ref = self.refbook.known(kind, name)
        if ref is None:
            return None
        digest = Digest("sha256", bytes.fromhex(ref.digest))
        path = self.cache.known(digest)
        return _held(ref, digest, path) if path else None

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
        if (held := self.held(want.kind, want.name)) and _fits(held.integrity, want):
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
        growing = self._new(ref.name, Digest("sha256", bytes.fromhex(ref.digest)), len(content))
        try:
            growing.begin(len(content))
            await asyncio.to_thread(growing.append, content)
            growing.finish()
            path = await self._publish(ref, growing)
        finally:
            self._drop(growing)
        if path is None:
            raise StorageError(
                f"There is no room for {ref.name}.", next_step="Make room on the mirror's disk."
            )
        return _held(ref, Digest("sha256", bytes.fromhex(ref.digest)), path)

    async def idle(self) -> None:
        """Wait until nothing is fetched any more and all that came is published."""
        while tasks := list(self._fetching.values()):
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """End all fetches; their readers hear of it."""
        for growing in list(self._growing.values()):
            growing.fail(NetworkError(f"{growing.label} was not fetched: the mirror stops."))
        await self.owed.close()
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
        if held and not _fits(held.integrity, want):
            held = None
        if held is None and want.expected and want.expected.algorithm == "sha256":
            held = await self._by_digest(want, want.expected)
        if held:
            if want.confirm:
                await want.confirm(held.digest)
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
        return Held(path, digest, size, want.content_type, digest.sri)

    async def _out_of_depot(self, ref: Ref) -> Held | None:
        digest = Digest("sha256", bytes.fromhex(ref.digest))
        try:
            path = await self.cache.path(digest)
        except StorageError as error:  # the disk is full: fetched again, and passed through
            self.events.error("cache", error)
            return None
        return _held(ref, digest, path) if path else None

    def _new(self, label: str, expected: Digest | None, limit: int) -> Growing:
        path = self._folder / f"{os.getpid()}-{os.urandom(8).hex()}"
        return Growing(path, label=label, expected=expected, limit=limit, spare=self._spare)

    def _drop(self, growing: Growing) -> None:
        growing.path.unlink(missing_ok=True)
        growing.release()

    async def _fetch(self, want: Want, growing: Growing) -> None:
        try:
            await self._led(want, growing)
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

    async def _led(self, want: Want, growing: Growing) -> None:
        """Fetch, if no other front does; else follow it."""
        try:
            lease = await self._lease(want, growing)
        except DepotDownError as error:
            self.events.error("depot", error)
            await self._ask(want, growing)
            return
        if lease is None:
            return
        async with lease:
            # The one before may have been done a moment ago.
            if not await self._ready(want, growing):
                await self._share(want, growing)

    async def _lease(self, want: Want, growing: Growing) -> Lease | None:
        """Return the lease, or None once another front's fetch has filled ``growing``."""
        if lease := await self.leases.take(want.key):
            return lease
        watching = Watching(self._depot, want.key, growing)
        await watching.want()
        asked = time.monotonic()
        while True:
            if await self._ready(want, growing):
                return None
            if not await watching.look():
                await asyncio.sleep(WATCH)
            if time.monotonic() - asked > self.leases.term / 6:
                asked = time.monotonic()
                if lease := await self.leases.take(want.key):
                    return lease

    async def _ready(self, want: Want, growing: Growing) -> bool:
        """Take what another front has published meanwhile, from where ``growing`` is."""
        ref = await self.refbook.read(want.kind, want.name)
        if ref is None or not _fits(ref.integrity, want):
            return False
        key = names.blob_key("sha256", ref.digest)
        try:
            growing.begin(ref.size)
            async for chunk in self._depot.read(key, start=growing.size):
                await asyncio.to_thread(growing.append, chunk)
        except KeyError:
            return False
        try:
            growing.finish()
        except IntegrityError:
            await self._depot.remove(key)
            raise
        await self._admit(Digest("sha256", bytes.fromhex(ref.digest)), growing)
        return True

    async def _share(self, want: Want, growing: Growing) -> None:
        sharing = Sharing(self._depot, want.key, growing)
        failed: PyodideOfflineError | None = None
        try:
            await self._ask(want, growing)
        except PyodideOfflineError as error:
            self._gone_wrong(want, growing, error)
            failed = error
        finally:
            await sharing.end(failed if growing.digest is None else None)

    async def _ask(self, want: Want, growing: Growing) -> None:
        reply = None
        for number, source in enumerate(want.sources, 1):
            try:
                reply = await self._upstream.fetch(want.kind, source, growing)
                break
            except (NetworkError, RegistryError):
                if number == len(want.sources) or growing.size:
                    raise
        if reply is None:
            raise RegistryError(f"No upstream is known for {want.name}.", facts={"status": 404})
        await want.judge(growing)
        digest = growing.finish()
        ref = Ref(
            kind=want.kind,
            name=want.name,
            digest=digest.hex,
            size=growing.size,
            content_type=want.content_type,
            fetched=int(time.time()),
            integrity=want.expected.sri if want.expected else "",
            etag=reply.etag,
            modified=reply.modified,
        )
        await self._publish(ref, growing)

    async def _publish(self, ref: Ref, growing: Growing) -> Path | None:
        """Have the cache and the depot hold it; either may fail without the other."""
        path = await self._admit(Digest("sha256", bytes.fromhex(ref.digest)), growing)
        self.refbook.remember(ref)
        try:
            async with self._uploads:
                await self._depot.create(names.blob_key("sha256", ref.digest), growing.file)
            await self.refbook.publish(ref)
        except DepotDownError as error:
            self.events.error("depot", error)
            self.owed.note(ref)
        return path

    async def _admit(self, digest: Digest, growing: Growing) -> Path | None:
        if growing.in_memory:
            return None
        try:
            return await self.cache.admit(digest, growing.path)
        except StorageError as error:
            self.events.error("cache", error)
            return None


def _held(ref: Ref, digest: Digest, path: Path) -> Held:
    return Held(path, digest, ref.size, ref.content_type, ref.integrity or digest.sri)


def _fits(integrity: str, want: Want) -> bool:
    """Say whether what a ref stands for is what is wanted: an accepted change is another."""
    return not want.expected or not integrity or integrity == want.expected.sri
