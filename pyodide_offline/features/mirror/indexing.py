"""Indexes: what an upstream says of a package, for a while, and for ever if it falls silent.

An index is fetched again when it is older than FRESH, by one front of the fleet, with the
upstream's validators. An upstream that is down, has lost the package, or changed a digest
that is pinned, makes the last one stay, with the reason in a Warning header.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.errors import (
    DepotDownError,
    IntegrityError,
    OfflineError,
    PinChangedError,
    PyodideOfflineError,
    StorageError,
)
from pyodide_offline.features.mirror.failed import Failed
from pyodide_offline.features.mirror.leases import Lease
from pyodide_offline.features.mirror.pull import MISSING, Pull
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.upstream import Reply, Source, Upstream

FRESH = 300.0  # seconds
SILENT = 10.0  # seconds in which an upstream that failed is not asked for the same again
ROOM = 48 << 20  # bytes of indexes in memory
PATIENCE = 20.0  # seconds that another front may take for an index
MOST_SOUND = 100_000  # digests of indexes that were held to the pins
_WATCH = 0.1

Pins = Mapping[str, str]
Admit = Callable[[str, str, Pins], Awaitable[None]]


@dataclass(frozen=True)
class Topic:
    """An index by kind and name. ``judge`` reads it and returns what it pins: file → digest.

    ``judge`` raises RegistryError for what is no such index. ``pinned`` is the kind and the
    name under which that is pinned.
    """

    kind: str
    name: str
    source: Source
    limit: int
    judge: Callable[[bytes, Reply], Pins]
    pinned: tuple[str, str]


@dataclass(frozen=True)
class Index:
    """What there is of it; ``stale`` is why it may be old."""

    body: bytes
    ref: Ref
    stale: str = ""


class Indexing:
    """Keeps indexes; ``admit`` raises PinChangedError for a digest that is not the pinned one.

    ``check`` raises where an index out of the store says what is not pinned: whoever may write
    there could have put it there.
    """

    def __init__(
        self,
        pull: Pull,
        upstream: Upstream,
        admit: Admit,
        *,
        check: Admit | None = None,
        fresh: float = FRESH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pull = pull
        self._upstream = upstream
        self._admit = admit
        self._check = check
        self._sound: OrderedDict[str, None] = OrderedDict()
        self._fresh = fresh
        self._clock = clock
        self._failed = Failed(SILENT)
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        self._renewing: dict[tuple[str, str], asyncio.Task[Index]] = {}

    async def get(self, topic: Topic) -> Index:
        """Return an index, asked for again if it is old. Raises what fetching raises."""
        ref = self._pull.refbook.known(topic.kind, topic.name)
        if (
            ref
            and self._is_fresh(ref)
            and ref.digest in self._sound
            and (body := self._bodies.get(ref.digest)) is not None
        ):
            self._bodies.move_to_end(ref.digest)
            return Index(body, ref)
        key = topic.kind, topic.name
        if (task := self._renewing.get(key)) is None:
            task = asyncio.create_task(self._renew(topic))
            self._renewing[key] = task
            task.add_done_callback(lambda done: self._renewed(key, done))
        return await asyncio.shield(task)

    # -- inside ---------------------------------------------------------------------

    def _renewed(self, key: tuple[str, str], done: asyncio.Task[Index]) -> None:
        self._renewing.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits for it any more

    def _is_fresh(self, ref: Ref) -> bool:
        """Say whether an index need not be asked for; clocks of fronts differ a little."""
        return -60.0 < self._clock() - ref.fetched < self._fresh

    async def _renew(self, topic: Topic) -> Index:
        old = await self._old(topic)
        if old and self._is_fresh(old.ref):
            return old
        if self._pull.offline:
            if old:
                return Index(old.body, old.ref, "this mirror is offline")
            raise OfflineError(
                f"The index of {topic.name} is not in the mirror, and it is told to be offline.",
                next_step="Fill it where there is a network: pyodide-offline mirror sync",
            )
        key = f"{topic.kind} {topic.name}"
        error = self._failed.find(key)
        if error is None:
            try:
                return await self._once(topic, old)
            except PyodideOfflineError as caught:
                self._failed.note(key, caught)
                if old or caught.facts.get("status") not in MISSING:
                    part = caught.code if isinstance(caught, PinChangedError) else "upstream"
                    self._pull.events.error(part, caught)
                error = caught
        if old is None:
            raise error.with_traceback(None)
        self._pull.events.stale(topic.kind, topic.name)
        return Index(old.body, old.ref, error.what)

    async def _old(self, topic: Topic) -> Index | None:
        try:
            ref = await self._pull.refbook.read(topic.kind, topic.name)
        except DepotDownError:
            ref = None
        body = await self._body(ref) if ref else None
        if ref is None or body is None or not await self._holds(topic, ref, body):
            return None
        return Index(body, ref)

    async def _holds(self, topic: Topic, ref: Ref, body: bytes) -> bool:
        """Say whether an index out of the store says what is pinned, asked once for each."""
        if ref.digest in self._sound:
            return True
        if self._check is not None:
            try:
                told = Reply(200, ref.content_type, ref.etag, ref.modified, body)
                pins = await asyncio.to_thread(topic.judge, body, told)
                await self._check(*topic.pinned, pins)
            except DepotDownError:
                return True  # what this front had seen before: pins cannot be asked just now
            except PyodideOfflineError as error:
                self._pull.events.error("pins", error)
                return False
        self._vouched(ref.digest)
        self._pull.refbook.note(ref.kind, ref.name)
        return True

    def _vouched(self, digest: str) -> None:
        self._sound[digest] = None
        if len(self._sound) > MOST_SOUND:
            self._sound.popitem(last=False)

    async def _body(self, ref: Ref) -> bytes | None:
        if (body := self._bodies.get(ref.digest)) is not None:
            return body
        try:
            path = await self._pull.cache.path(Digest("sha256", bytes.fromhex(ref.digest)))
        except (DepotDownError, StorageError):
            return None
        if path is None:
            return None
        body = await asyncio.to_thread(path.read_bytes)
        if digests.of_bytes(body).hex != ref.digest:
            return None
        self._remember(ref.digest, body)
        return body

    def _remember(self, digest: str, body: bytes) -> None:
        if digest in self._bodies or len(body) > ROOM // 2:
            return
        self._bodies[digest] = body
        self._held += len(body)
        while self._held > ROOM:
            _, gone = self._bodies.popitem(last=False)
            self._held -= len(gone)

    async def _once(self, topic: Topic, old: Index | None) -> Index:
        """Ask the upstream, unless another front does so just now."""
        try:
            lease = await self._pull.leases.take(f"index {topic.kind} {topic.name}")
        except DepotDownError:
            return await self._ask(topic, old)
        until = time.monotonic() + PATIENCE
        while lease is None and time.monotonic() < until:
            await asyncio.sleep(_WATCH)
            there = await self._old(topic)
            if there and self._is_fresh(there.ref):
                return there
            lease = await self._taken(topic)
        if lease is None:
            return await self._ask(topic, old)
        async with lease:
            there = await self._old(topic)
            if there and self._is_fresh(there.ref):
                return there
            return await self._ask(topic, old)

    async def _taken(self, topic: Topic) -> Lease | None:
        try:
            return await self._pull.leases.take(f"index {topic.kind} {topic.name}")
        except DepotDownError:
            return None

    async def _ask(self, topic: Topic, old: Index | None) -> Index:
        known = Reply(200, etag=old.ref.etag, modified=old.ref.modified) if old else None
        tries = 1 if old else 3
        reply = await self._upstream.read(
            topic.kind, topic.source, limit=topic.limit, known=known, tries=tries
        )
        if reply.status == 304:
            if old is None:
                raise IntegrityError(
                    f"{topic.source.host} says that nothing has changed, at first."
                )
            ref = old.ref.asked_again(int(self._clock()))
            await self._published(ref, old.body)
            return Index(old.body, ref)
        pins = await asyncio.to_thread(topic.judge, reply.body, reply)
        await self._admit(*topic.pinned, pins)
        ref = Ref(
            kind=topic.kind,
            name=topic.name,
            digest=digests.of_bytes(reply.body).hex,
            size=len(reply.body),
            content_type=reply.content_type,
            fetched=int(self._clock()),
            etag=reply.etag,
            modified=reply.modified,
        )
        self._remember(ref.digest, reply.body)
        self._vouched(ref.digest)
        if old and old.ref.digest == ref.digest:
            await self._published(ref, reply.body)
        else:
            try:
                await self._pull.keep(ref, reply.body)
            except (StorageError, DepotDownError) as error:  # it is in memory
                self._pull.events.error("cache", error)
        return Index(reply.body, ref)

    async def _published(self, ref: Ref, body: bytes) -> None:
        try:
            await self._pull.renew(ref, body)
        except DepotDownError as error:
            self._pull.events.error("depot", error)
        self._pull.refbook.note(ref.kind, ref.name)
