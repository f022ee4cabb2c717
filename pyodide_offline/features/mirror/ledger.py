"""First-seen digests of each package's versions, kept in the store and in the chain.

    refs/pins/<kind>/<name>       all pins of a package, signed: what is asked on each fetch
    refs/pending/<kind>/<name>    changes that were refused, for an operator to look at

What is new gets into the chain before it gets into the package's pins, so that no pin is
without a signed record; a front that was killed in between finds it there at its next start.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyodide_offline.errors import DepotDownError, IntegrityError, PinChangedError, SettingsError
from pyodide_offline.features.mirror import entries, names, pins
from pyodide_offline.features.mirror.chain import Chain
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.entries import Record
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.kits.signing import SecretKey

PINS = "package's pins"
_MENDED = 20
_BATCH = 256
_TRIES = 50
_PENDING = 200


@dataclass(frozen=True)
class Pending:
    """A change that was refused: what is pinned, what came, and when it came first."""

    version: str
    pinned: str
    given: str
    when: int


@dataclass
class _Waiting:
    record: Record
    done: "asyncio.Future[None]" = field(default_factory=lambda: _future())


class Ledger:
    """Pins of one depot. One for a process, in one event loop."""

    def __init__(self, depot: Depot, log: Chain, key: SecretKey, events: Events) -> None:
        self._depot = depot
        self._chain = log
        self._key = key
        self._events = events
        self._queue: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Give the packages' pins what only the chain has: a front was killed in between.

        Raises IntegrityError where the chain does not hold, DepotDownError.
        """
        head = await self._chain.head()
        recent = [entry async for entry in self._chain.entries(head, max(0, head.number - _MENDED))]
        for entry in reversed(recent):
            for record in entry.records:
                known = await self.pins(record.kind, record.name)
                lacking = {v: p for v, p in record.pins.items() if v not in known}
                if lacking:
                    await self._keep(record.kind, record.name, lacking)
                    self._events.note("pins mended", kind=record.kind, name=record.name)

    async def admit(self, kind: str, name: str, given: Mapping[str, str]) -> None:
        """Let an upstream's digests of a package in: what is new is pinned.

        ``given`` is version or file name → hash (SRI, or ``sha256:<hex>``). Raises
        PinChangedError where one differs from the first seen (nothing is pinned then),
        IntegrityError where pins or chain do not hold, DepotDownError.
        """
        found = pins.compare(await self.pins(kind, name), given)
        if found.changed:
            await self._refuse(kind, name, found.changed)
        if found.new:
            await self._record(Record(kind, name, found.new))
            clash = await self._keep(kind, name, found.new)
            if clash:
                await self._refuse(kind, name, clash)

    async def check(self, kind: str, name: str, given: Mapping[str, str]) -> None:
        """Hold digests that came out of the store to the pins: each must be pinned, as it is.

        Raises IntegrityError for any other, DepotDownError.
        """
        found = pins.compare(await self.pins(kind, name), given)
        if wrong := [*found.changed, *found.new]:
            raise IntegrityError(
                f"The store's index of {kind} {name} has a digest that nobody pinned: {wrong[0]}.",
                why="It was put there by something else than a front, or an operator accepted "
                "another digest since.",
                next_step="Run `pyodide-offline mirror audit`.",
            )

    async def accept(self, kind: str, name: str, version: str, given: str = "") -> tuple[str, str]:
        """Pin another digest for a version, as an operator says; return the old and the new.

        Without ``given`` it is the one that was refused. Raises SettingsError where there is
        nothing to accept.
        """
        known = (await self.pins(kind, name)).get(version, "")
        refused = {one.version: one.given for one in await self.pending(kind, name)}
        try:
            new = pins.normal(given or refused.get(version, ""))
        except ValueError as error:
            raise SettingsError(
                f"No change of {kind} {name} {version} was refused.",
                next_step="Name the digest to accept with --digest.",
            ) from error
        await self._record(Record(kind, name, {version: new}, {version: known}))
        await self._keep(kind, name, {version: new}, replace=True)
        await self._forget(kind, name, version)
        self._events.note("pin accepted", kind=kind, name=name, version=version, digest=new)
        return known, new

    async def pins(self, kind: str, name: str) -> dict[str, str]:
        """Return a package's pins by version. Raises IntegrityError, DepotDownError."""
        return (await self._pins(kind, name))[0]

    async def pending(self, kind: str, name: str) -> list[Pending]:
        """Return the changes of a package that were refused and not accepted."""
        return (await self._pending(kind, name))[0]

    async def close(self) -> None:
        """Wait until what is being written is."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _refuse(self, kind: str, name: str, changed: Mapping[str, tuple[str, str]]) -> None:
        version, (old, new) = next(iter(changed.items()))
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        error = PinChangedError(
            f"{kind} {name} {version}{more} is not what this mirror saw first.",
            why=f"Pinned is {old}, the upstream gives {new}.",
            next_step=f"If that is right: pyodide-offline mirror accept {kind} {name} {version}",
            changes=changed,
        )
        try:
            await self._put_pending(kind, name, changed)
        except DepotDownError as down:
            self._events.error("depot", down)
        raise error

    async def _record(self, record: Record) -> None:
        """Get a record into the chain, together with those of others who wait just now."""
        one = _Waiting(record)
        self._queue.append(one)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await asyncio.shield(one.done)

    async def _write(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
            try:
                await self._chain.append([one.record for one in batch])
            except Exception as error:
                if isinstance(error, IntegrityError):
                    self._events.error("chain", error)
                for one in batch:
                    one.done.set_exception(error)
                    one.done.exception()  # seen, though its client may be gone
            else:
                for one in batch:
                    one.done.set_result(None)

    async def _keep(
        self, kind: str, name: str, new: Mapping[str, str], *, replace: bool = False
    ) -> Mapping[str, tuple[str, str]]:
        """Write pins into a package's list; return those that others pinned otherwise."""
        for _ in range(_TRIES):
            known, etag = await self._pins(kind, name)
            clash = {} if replace else pins.compare(known, new).changed
            merged = {**known, **{v: p for v, p in new.items() if v not in clash}}
            value = {"kind": kind, "name": name, "pins": merged}
            data = entries.sealed(self._key, PINS, value)
            if await self._depot.swap(_key(kind, name), data, etag) is not None:
                return clash
        raise DepotDownError(f"The pins of {kind} {name} could not be written.")

    async def _pins(self, kind: str, name: str) -> tuple[dict[str, str], str | None]:
        found = await self._depot.get(_key(kind, name))
        if found is None:
            return {}, None
        value, _ = entries.opened(found[0], PINS, self._chain.trusted)
        return pins_of(value, kind, name), found[1]

    async def _pending(self, kind: str, name: str) -> tuple[list[Pending], str | None]:
        found = await self._depot.get(names.ref_key(f"pending/{kind}", name))
        if found is None:
            return [], None
        try:
            return [Pending(**one) for one in json.loads(found[0])], found[1]
        except (ValueError, TypeError):
            return [], found[1]

    async def _put_pending(
        self, kind: str, name: str, changed: Mapping[str, tuple[str, str]]
    ) -> None:
        for _ in range(_TRIES):
            waiting, etag = await self._pending(kind, name)
            there = {(one.version, one.given) for one in waiting}
            now = int(time.time())
            fresh = [
                Pending(version, old, new, now)
                for version, (old, new) in changed.items()
                if (version, new) not in there
            ]
            if not fresh or await self._swap_pending(kind, name, [*waiting, *fresh], etag):
                return

    async def _forget(self, kind: str, name: str, version: str) -> None:
        for _ in range(_TRIES):
            waiting, etag = await self._pending(kind, name)
            left = [one for one in waiting if one.version != version]
            if left == waiting or await self._swap_pending(kind, name, left, etag):
                return

    async def _swap_pending(
        self, kind: str, name: str, waiting: list[Pending], etag: str | None
    ) -> bool:
        data = json.dumps([vars(one) for one in waiting[-_PENDING:]]).encode()
        key = names.ref_key(f"pending/{kind}", name)
        return await self._depot.swap(key, data, etag) is not None


def pins_of(value: Mapping[str, object], kind: str, name: str) -> dict[str, str]:
    """Read a package's pins, and hold them to the package. Raises IntegrityError."""
    found = value.get("pins")
    if (value.get("kind"), value.get("name")) != (kind, name) or not isinstance(found, dict):
        raise IntegrityError(f"The pins of {kind} {name} are those of another package.")
    return {str(version): str(pin) for version, pin in found.items()}


def _key(kind: str, name: str) -> str:
    return names.ref_key(f"pins/{kind}", name)


def _future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()
