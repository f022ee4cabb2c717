"""Entries of the mirror's log, and other values that it signs: written, read, held to their links.

Pure. A sealed value is JSON with an Ed25519 signature over what kind of value it is and over
its canonical form.
"""

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.mirror import names
from pyodide_offline.kits import signature
from pyodide_offline.kits.signature import PublicKey
from pyodide_offline.kits.signing import SecretKey

ENTRY = "chain entry"


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


def read(data: bytes, link: Link, trusted: Mapping[bytes, PublicKey]) -> Entry:
    """Read the bytes of an entry and hold them to its link. Raises IntegrityError."""
    if hashlib.sha256(data).hexdigest() != link.sha256:
        raise broken(link, "its bytes have another digest")
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
        raise broken(link, "it is not of the form of an entry") from error
    if entry.previous.number + 1 != link.number:
        raise broken(link, f"it says that it is number {entry.previous.number + 1}")
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


def written(key: SecretKey, head: Link, records: Sequence[Record]) -> tuple[bytes, Link]:
    """Return a new entry after a head, signed, and its link."""
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


def pointer(link: Link) -> bytes:
    """Return the head's value that names a link as the last."""
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


def broken(link: Link, why: str) -> IntegrityError:
    """Return the error of an entry that does not hold."""
    return IntegrityError(
        f"Entry {link.number} of the mirror's log does not hold: {why}.",
        next_step="Run `pyodide-offline mirror audit`.",
    )
