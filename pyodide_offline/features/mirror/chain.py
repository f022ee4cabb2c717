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
import base64
import binascii
import hashlib
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from filelock import FileLock

from pyodide_offline import disk
from pyodide_offline.errors import DepotDownError, IntegrityError, SettingsError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.kits import signature
from pyodide_offline.kits.signature import PublicKey
from pyodide_offline.kits.signing import SecretKey

HEAD = names.ref_key("chain-head", "head")
ENTRY = "chain entry"
_TRIES = 200


@dataclass(frozen=True)
class Link:
    """An entry, named by its number and the digest of its bytes. Number 0 is before the first."""

    number: int = 0
    sha256: str = ""

    @property
    def key(self) -> str:
        """Where the entry lies in a depot."""
        return names.ref_key("chain", f"{self.number:012}.{self.sha256}")


@dataclass(frozen=True)
class Record:
    """What was seen of one package: digests by version or file.

    ``was`` has the digest that an operator gave up for each version that he accepted anew.
    """

    kind: str
    name: str
    pins: Mapping[str, str]
    was: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One link of the chain, read and verified."""

    link: Link
    previous: Link
    when: int
    records: tuple[Record, ...]
    key: PublicKey


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
            data, link = _written(self._key, head, records)
            await self._depot.create(link.key, data)
            won = await self._depot.swap(HEAD, _pointer(link), etag) is not None
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
        link = pointed(found[0]) if found else Link()
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
            raise _broken(link, "it is missing")
        return read(found[0], link, self.trusted)

    async def _remember(self, link: Link) -> None:
        if link.number > self._seen.number:
            self._seen = link
        if self._memory is not None:
            await asyncio.to_thread(_remember, self._memory, link)


def read(data: bytes, link: Link, trusted: Mapping[bytes, PublicKey]) -> Entry:
    """Read the bytes of an entry and hold them to its link. Raises IntegrityError."""
    if hashlib.sha256(data).hexdigest() != link.sha256:
        raise _broken(link, "its bytes have another digest")
    value, key = opened(data, ENTRY, trusted)
    try:
        entry = Entry(
            link,
            Link(int(value["number"]) - 1, str(value["previous"])),
            int(value["time"]),
            tuple(
                Record(
                    str(one["kind"]),
                    str(one["name"]),
                    {str(version): str(pin) for version, pin in one["pins"].items()},
                    {str(version): str(pin) for version, pin in one.get("was", {}).items()},
                )
                for one in value["records"]
            ),
            key,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(link, "it is not of the form of an entry") from error
    if entry.previous.number + 1 != link.number:
        raise _broken(link, f"it says that it is number {entry.previous.number + 1}")
    return entry


def sealed(key: SecretKey, what: str, value: Mapping[str, Any]) -> bytes:
    """Return a value as JSON with a signature; ``what`` is signed too, so that no kind of
    value can stand for another.
    """
    message = _message(what, value)
    found = Ed25519PrivateKey.from_private_bytes(key.seed).sign(message)
    record = {
        "key": key.public.line,
        "signature": base64.b64encode(found).decode(),
        "value": value,
    }
    return _canonical(record) + b"\n"


def opened(
    data: bytes, what: str, trusted: Mapping[bytes, PublicKey]
) -> tuple[Mapping[str, Any], PublicKey]:
    """Return a sealed value and who signed it. Raises IntegrityError."""
    try:
        record = json.loads(data)
        key = signature.public_key(record["key"])
        found = base64.b64decode(record["signature"], validate=True)
        value = record["value"]
        if not isinstance(value, dict):
            raise TypeError  # noqa: TRY301
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise IntegrityError(f"A {what} of the mirror cannot be read.") from error
    if key.value not in trusted:
        raise IntegrityError(
            f"A {what} of the mirror is signed by the key {key.name}, which is not trusted here.",
            next_step=f"If it is another front's: --trust-key {key.line}",
            facts={"untrusted": key.line},
        )
    try:
        Ed25519PublicKey.from_public_bytes(key.value).verify(found, _message(what, value))
    except InvalidSignature:
        raise IntegrityError(
            f"A {what} of the mirror has a signature that is not its own."
        ) from None
    return value, key


def _written(key: SecretKey, head: Link, records: Sequence[Record]) -> tuple[bytes, Link]:
    value = {
        "number": head.number + 1,
        "previous": head.sha256,
        "time": int(time.time()),
        # Two fronts' entries are never the same: the one that lost removes its own.
        "once": secrets.token_hex(8),
        "records": [
            {
                "kind": one.kind,
                "name": one.name,
                "pins": dict(one.pins),
                **({"was": dict(one.was)} if one.was else {}),
            }
            for one in records
        ],
    }
    data = sealed(key, ENTRY, value)
    return data, Link(head.number + 1, hashlib.sha256(data).hexdigest())


def _message(what: str, value: Mapping[str, Any]) -> bytes:
    return f"pyodide-offline mirror {what} 1\n".encode() + _canonical(value)


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _pointer(link: Link) -> bytes:
    return _canonical({"number": link.number, "sha256": link.sha256}) + b"\n"


def pointed(data: bytes) -> Link:
    """Read the head: which entry is the last. Raises IntegrityError."""
    try:
        value = json.loads(data)
        link = Link(int(value["number"]), str(value["sha256"]))
        bytes.fromhex(link.sha256)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("The head of the mirror's log cannot be read.") from error
    if link.number < 1 or len(link.sha256) != 64:
        raise IntegrityError("The head of the mirror's log names no entry.")
    return link


def remembered(path: Path | None) -> Link:
    """Return the last head that a front saw. Raises SettingsError."""
    if path is None or not path.exists():
        return Link()
    try:
        return pointed(path.read_bytes())
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
            disk.write_whole(path, _pointer(link), 0o600)


def _broken(link: Link, why: str) -> IntegrityError:
    return IntegrityError(
        f"Entry {link.number} of the mirror's log does not hold: {why}.",
        next_step="Run `pyodide-offline mirror audit`.",
    )


def _rolled_back(seen: Link, link: Link) -> IntegrityError:
    return IntegrityError(
        f"The mirror's log ends with number {link.number} and does not lead back to number "
        f"{seen.number}, which was its end before.",
        why="It was rolled back or replaced. Nothing new is pinned until an operator has looked.",
        next_step="Run `pyodide-offline mirror audit`. After a restored backup, remove the "
        "remembered head (mirror-head-*.json beside the signing key).",
    )
