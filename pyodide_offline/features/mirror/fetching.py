"""A miss: one front of the fleet fetches, the others follow it.

A lease decides who fetches. The others get what that front has so far through the depot
(``sharing``), then the content itself; if it dies, one of them takes over. Published are
first the content, then the ref. A depot that is down only costs that others fetch the same
again; a full disk only that nothing is kept.
"""

import asyncio
import time
from pathlib import Path

from pyodide_offline.errors import (
    DepotDownError,
    IntegrityError,
    NetworkError,
    PyodideOfflineError,
    RegistryError,
    StorageError,
)
from pyodide_offline.features.mirror import names, wanted
from pyodide_offline.features.mirror.deposit import Deposit
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.growing import Growing
from pyodide_offline.features.mirror.leases import Lease, Leases
from pyodide_offline.features.mirror.owed import Owed
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.sharing import Sharing, Watching
from pyodide_offline.features.mirror.upstream import Upstream
from pyodide_offline.features.mirror.wanted import Want

WATCH = 0.1  # seconds between two looks at another front's fetch
UPLOADS = 4  # at once, into the depot


class Fetching:
    """Fills growing files, and has cache and depot hold them."""

    def __init__(
        self,
        refbook: Refbook,
        cache: DiskCache,
        leases: Leases,
        upstream: Upstream,
        events: Events,
    ) -> None:
        self.deposit = Deposit(refbook, leases)
        self.owed = Owed(self.deposit, cache, events)
        self._refbook = refbook
        self._depot = refbook.depot
        self._cache = cache
        self._leases = leases
        self._upstream = upstream
        self._events = events
        self._uploads = asyncio.Semaphore(UPLOADS)

    async def fetch(self, want: Want, growing: Growing) -> None:
        """Fill a growing file and publish it, or follow the front that does.

        Raises what fetching raises; readers hear of it before, when other fronts must too.
        """
        try:
            lease = await self._lease(want, growing)
            if lease is None:
                return
            async with lease:
                # The one before may have been done a moment ago.
                if not await self._ready(want, growing):
                    await self._share(want, growing)
        except DepotDownError as error:
            self._events.error("depot", error)
            if growing.digest is None and growing.error is None:
                await self._ask(want, growing)

    async def _lease(self, want: Want, growing: Growing) -> Lease | None:
        """Return the lease, or None once another front's fetch has filled ``growing``."""
        if lease := await self._leases.take(want.key):
            return lease
        watching = Watching(self._depot, want.key, growing)
        await watching.want()
        asked = time.monotonic()
        while True:
            if await self._ready(want, growing):
                return None
            if not await watching.look():
                await asyncio.sleep(WATCH)
            if time.monotonic() - asked > self._leases.term / 6:
                asked = time.monotonic()
                if lease := await self._leases.take(want.key):
                    return lease

    async def _ready(self, want: Want, growing: Growing) -> bool:
        """Take what another front has published meanwhile, from where ``growing`` is."""
        ref = await self._refbook.read(want.kind, want.name)
        if ref is None or not want.fits(ref.integrity):
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
        await self._admit(ref, growing)
        return True

    async def _share(self, want: Want, growing: Growing) -> None:
        sharing = Sharing(self._depot, want.key, growing)
        failed: PyodideOfflineError | None = None
        try:
            await self._ask(want, growing)
        except PyodideOfflineError as error:
            growing.fail(error)
            failed = error
            raise
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
        await self.publish(ref, growing)

    async def publish(self, ref: Ref, growing: Growing) -> Path | None:
        """Have the cache and the depot hold it; either may fail without the other."""
        path = await self._admit(ref, growing)
        await self.put(ref, growing.file)
        return path

    async def put(self, ref: Ref, file: Path) -> None:
        """Have the depot hold a file that is whole and right, now or once it answers."""
        self._refbook.remember(ref)
        self._refbook.note(ref.kind, ref.name)
        try:
            async with self._uploads:
                await self.deposit.bring(ref, file)
            await self.deposit.name(ref, file)
        except DepotDownError as error:
            self._events.error("depot", error)
            self.owed.note(ref)

    async def _admit(self, ref: Ref, growing: Growing) -> Path | None:
        if growing.in_memory:
            return None
        try:
            return await self._cache.admit(wanted.sha256(ref), growing.path)
        except StorageError as error:
            self._events.error("cache", error)
            return None
