"""All of a store, held to its log: each entry, each pin, each name, each byte.

Goes on after a fault and tells all of them. The log is read after the pins and the contents
after the names, in the order opposite to that in which fronts write: so an audit beside
running fronts finds no fault that is only half-done work.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pyodide_offline import digest as digests
from pyodide_offline.errors import DepotDownError, IntegrityError, StorageError
from pyodide_offline.features.mirror import chain, entries, names, pins, refs
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.entries import Entry, Link
from pyodide_offline.features.mirror.ledger import PINS
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.kits import signature
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, UNTRUSTED, Fault
from pyodide_offline.kits.signature import PublicKey

LOG = "log"
_AT_ONCE = 4
_Package = tuple[str, str]
_T = TypeVar("_T")


@dataclass
class Report:
    """What an audit found."""

    faults: list[Fault] = field(default_factory=list)
    entries: int = 0
    packages: int = 0
    pins: int = 0
    names: int = 0
    blobs: int = 0
    size: int = 0
    head: Link = field(default_factory=Link)


class Audit:
    """One audit. ``seen`` are heads that the log must lead back to: a front's, a client's."""

    def __init__(
        self,
        depot: Depot,
        trusted: Iterable[PublicKey],
        seen: Iterable[Link] = (),
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.report = Report()
        self._depot = depot
        self._trusted = {one.value: one for one in trusted}
        self._strangers: dict[bytes, PublicKey] = {}
        self._seen = [one for one in seen if one.number]
        self._advance = advance
        self._logged: dict[_Package, dict[str, str]] = {}
        self._whole = True

    async def run(self) -> Report:
        """Look at all of the store. Raises DepotDownError where it does not answer."""
        held = {key: data async for key, data in self._values("refs/pins/")}
        found = [one async for one in self._names()]
        await self._read_log()
        for package in self._hold_pins(held):
            await self._again(package)
        await self._hold_contents(found)
        self.report.faults.sort(key=lambda fault: (fault.where, fault.reason))
        return self.report

    def _fault(self, where: str, reason: str, bit: int = CORRUPT) -> None:
        self.report.faults.append(Fault(where, reason, bit))

    # -- the log ----------------------------------------------------------------------

    async def _read_log(self) -> None:
        log: list[Entry] = []
        awaited = {one.number: one for one in self._seen}
        try:
            found = await self._depot_head()
            link = entries.pointed(found[0]) if found else Link()
            self.report.head = link
            if awaited and link.number < max(awaited):
                self._rolled_back(awaited[max(awaited)])
            while link.number:
                if link.number in awaited and awaited[link.number] != link:
                    self._rolled_back(awaited[link.number])
                entry = await self._entry(link)
                log.append(entry)
                link = entry.previous
        except IntegrityError as error:
            self._whole = False
            missing = "missing" in error.what
            self._fault(LOG, error.what, INCOMPLETE if missing else CORRUPT)
        self.report.entries = len(log)
        for entry in reversed(log):
            self._replay(entry)

    async def _depot_head(self) -> tuple[bytes, str] | None:
        try:
            return await self._depot.get(chain.HEAD)
        except DepotDownError as error:
            await self._unreadable(chain.HEAD, error)
            raise IntegrityError("its head cannot be read") from error

    def _rolled_back(self, seen: Link) -> None:
        self._fault(
            LOG, f"it does not lead back to number {seen.number}, which was seen before", UNTRUSTED
        )

    async def _entry(self, link: Link) -> Entry:
        try:
            found = await self._depot.get(link.key)
        except DepotDownError as error:
            await self._unreadable(link.key, error)
            raise IntegrityError(f"entry {link.number} cannot be read") from error
        if found is None:
            raise IntegrityError(f"entry {link.number} is missing; what is before it is not known")
        return self._open(
            lambda: entries.read(found[0], link, self._keys()), f"entry {link.number}"
        )

    def _open(self, read: Callable[[], _T], where: str) -> _T:
        """Read something signed; a stranger's signature is a fault, and is read all the same."""
        try:
            return read()
        except IntegrityError as error:
            line = error.facts.get("untrusted")
            if not isinstance(line, str):
                raise
            key = signature.public_key(line)
            self._strangers[key.value] = key
            self._fault(where, f"signed by the key {key.name}, which is not trusted", UNTRUSTED)
            return read()

    def _keys(self) -> dict[bytes, PublicKey]:
        return {**self._trusted, **self._strangers}

    def _replay(self, entry: Entry) -> None:
        for record in entry.records:
            known = self._logged.setdefault((record.kind, record.name), {})
            for version, pin in record.pins.items():
                found = pins.compare(known, {version: pin})
                if found.changed and version not in record.was:
                    self._fault(
                        f"{record.kind} {record.name} {version}",
                        f"entry {entry.link.number} of the log pins another digest than one "
                        "before it, and no operator has accepted that",
                        UNTRUSTED,
                    )
                    continue
                known[version] = pin

    # -- pins -------------------------------------------------------------------------

    def _hold_pins(self, held: dict[str, bytes]) -> list[_Package]:
        """Hold what packages' pins say to the log; return those to be looked at again."""
        doubtful: list[_Package] = []
        packages: set[_Package] = set()
        for key, data in sorted(held.items()):
            if found := self._read_pins(key, data):
                package, kept = found
                packages.add(package)
                self.report.pins += len(kept)
                if self._differences(package, kept):
                    doubtful.append(package)
        self.report.packages = len(packages)
        return [*doubtful, *sorted(self._logged.keys() - packages)]

    def _read_pins(self, key: str, data: bytes) -> tuple[_Package, dict[str, str]] | None:
        try:
            value, _ = self._open(lambda: entries.opened(data, PINS, self._keys()), key)
            package = str(value["kind"]), str(value["name"])
            kept = {str(version): str(pin) for version, pin in value["pins"].items()}
            there = names.ref_key(f"pins/{package[0]}", package[1])
        except IntegrityError as error:
            self._fault(key, error.what)
            return None
        except (KeyError, AttributeError, ValueError):
            self._fault(key, "it is not of the form of a package's pins")
            return None
        if there != key:
            self._fault(key, f"it has the pins of {' '.join(package)}")
            return None
        return package, kept

    def _differences(self, package: _Package, kept: dict[str, str]) -> list[Fault]:
        logged = self._logged.get(package, {})
        where = " ".join(package)
        found = [
            Fault(f"{where} {version}", "pinned, and in no entry of the log", UNTRUSTED)
            for version in sorted(kept.keys() - logged.keys())
            if self._whole
        ]
        for version, pin in sorted(logged.items()):
            if version not in kept:
                found.append(Fault(f"{where} {version}", "in the log, and not pinned", INCOMPLETE))
            elif pins.compare({version: pin}, {version: kept[version]}).changed:
                reason = f"pinned is {kept[version]}, the log has {pin}"
                found.append(Fault(f"{where} {version}", reason))
        return found

    async def _again(self, package: _Package) -> None:
        """Look once more at pins that differ: a front may have been writing them just then."""
        key = names.ref_key(f"pins/{package[0]}", package[1])
        found = await self._depot.get(key)
        if found is None:
            self._fault(" ".join(package), "in the log, and its pins are missing", INCOMPLETE)
        elif (read := self._read_pins(key, found[0])) and read[0] == package:
            self.report.faults += self._differences(*read)

    # -- names and contents -----------------------------------------------------------

    async def _names(self) -> AsyncIterator[Ref]:
        async for key, data in self._values(names.REFS):
            kind, _, _ = key.removeprefix(names.REFS).rpartition("/")
            try:
                record = json.loads(data)
                ref = refs.decode(data, kind, str(record["name"]))
            except (ValueError, KeyError, TypeError, StorageError):
                self._fault(key, "it cannot be read")
                continue
            if names.ref_key(ref.kind, ref.name) != key:
                self._fault(key, f"it says that it is {ref.kind} {ref.name}")
                continue
            self.report.names += 1
            yield ref

    async def _hold_contents(self, found: list[Ref]) -> None:
        wanted: dict[str, list[Ref]] = {}
        for ref in found:
            wanted.setdefault(ref.digest, []).append(ref)
        batch = []
        async for entry in self._depot.list(names.BLOBS):
            parts = names.digest_of(entry.key)
            if parts is None:
                self._fault(entry.key, "it has no digest's name")
                continue
            for_names = wanted.pop(parts[1], []) if parts[0] == "sha256" else []
            batch.append((entry.key, parts, for_names))
            if len(batch) == _AT_ONCE:
                await asyncio.gather(*(self._hold_blob(*one) for one in batch))
                batch = []
        await asyncio.gather(*(self._hold_blob(*one) for one in batch))
        await self._miss([ref for some in wanted.values() for ref in some])

    async def _miss(self, found: list[Ref]) -> None:
        """Tell of names without content, if they are that still: `prune` may be at work."""
        for ref in found:
            now = await self._depot.get(names.ref_key(ref.kind, ref.name))
            same = now is not None and refs.decode(now[0], ref.kind, ref.name).digest == ref.digest
            if same and await self._depot.head(names.blob_key("sha256", ref.digest)) is None:
                self._fault(f"{ref.kind} {ref.name}", "its content is missing", INCOMPLETE)

    async def _hold_blob(self, key: str, parts: tuple[str, str], for_names: list[Ref]) -> None:
        algorithms = {parts[0]} | {
            digests.parse(r.integrity).algorithm for r in for_names if r.integrity
        }
        hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        size = 0
        try:
            async for chunk in self._depot.read(key):
                size += len(chunk)
                for hasher in hashers.values():
                    hasher.update(chunk)
                self._advance(len(chunk))
        except KeyError:  # removed since it was listed, or listed by what only names it
            await self._miss(for_names)
            return
        except DepotDownError as error:
            await self._unreadable(key, error)
            return
        self.report.blobs += 1
        self.report.size += size
        if hashers[parts[0]].hexdigest() != parts[1]:
            self._fault(key, "its bytes have another digest")
            return
        for ref in for_names:
            right = digests.parse(ref.integrity) if ref.integrity else None
            if ref.size != size or (right and hashers[right.algorithm].digest() != right.value):
                self._fault(f"{ref.kind} {ref.name}", "its content is not what upstream said")

    async def _values(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield keys and values below a prefix; of refs/ itself those of upstreams' names."""
        async for entry in self._depot.list(prefix):
            if prefix == names.REFS and entry.key.split("/")[1] in refs.OWN:
                continue
            try:
                found = await self._depot.get(entry.key)
            except DepotDownError as error:
                await self._unreadable(entry.key, error)
                continue
            if found is not None:
                yield entry.key, found[0]

    async def _unreadable(self, key: str, error: DepotDownError) -> None:
        """Tell of one thing that a store does not give. Raises where it gives nothing at all."""
        await self._depot.head(names.ref_key("health", "probe"))
        self._fault(key, f"it cannot be read: {error.what}")
