"""Signatures and public keys as minisign writes them, read and verified without any library.

minisign's page "Signature format" and "Public key format": an untrusted comment, a line of
base64 (algorithm, key id, signature of the BLAKE2b-512 of the file), the trusted comment and
a second signature that covers the first one and that comment.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import ed25519

_LIMIT = 4096
_PLAIN, _HASHED = b"Ed", b"ED"


@dataclass(frozen=True)
class PublicKey:
    """A public key: the id (8 bytes) is only a name, the 32 bytes of ``value`` are the key."""

    id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """The key as one line of 56 characters, which can be read out or typed."""
        return base64.b64encode(_PLAIN + self.id + self.value).decode()

    @property
    def name(self) -> str:
        """The id as minisign prints it: 16 hex digits."""
        return self.id[::-1].hex().upper()


@dataclass(frozen=True)
class Signature:
    """A signature read from its file; ``comment`` is the trusted one.

    ``offered`` is the public key that the untrusted comment names, for first use only.
    """

    key_id: bytes
    hashed: bool
    value: bytes
    comment: str
    sealed: bytes
    offered: PublicKey | None = None

    @property
    def name(self) -> str:
        """The id of the key, as ``PublicKey.name``."""
        return self.key_id[::-1].hex().upper()


def public_key(text: str) -> PublicKey:
    """Read a key: a public key file's text or its line alone. Raises IntegrityError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    data = _base64(lines[-1] if lines else "")
    if len(lines) > 2 or len(data) != 42 or data[:2] != _PLAIN:
        raise IntegrityError(
            "This is no public key of minisign's.",
            why="One line of 56 characters that begins with RW is expected.",
        )
    return PublicKey(data[2:10], data[10:])


def read(data: bytes) -> Signature:
    """Read a signature file. Raises IntegrityError."""
    try:
        lines = data.decode().split("\n") if len(data) <= _LIMIT else []
    except UnicodeDecodeError:
        lines = []
    untrusted, trusted = "untrusted comment: ", "trusted comment: "
    if len(lines) == 5 and lines[0].startswith(untrusted) and lines[2].startswith(trusted):
        value, sealed = _base64(lines[1]), _base64(lines[3])
        if len(value) == 74 and len(sealed) == 64 and value[:2] in (_PLAIN, _HASHED):
            comment = lines[2].removeprefix(trusted)
            offered = _offered(lines[0].rpartition(" ")[2], value[2:10])
            hashed = value[:2] == _HASHED
            return Signature(value[2:10], hashed, value[10:], comment, sealed, offered)
    raise IntegrityError("The kit's signature cannot be read.")


def verified(key: PublicKey, signature: Signature, message: bytes) -> bool:
    """Say whether a key has signed this message and the trusted comment with it."""
    signed = hashlib.blake2b(message).digest() if signature.hashed else message
    sealed = signature.value + signature.comment.encode()
    return (
        key.id == signature.key_id
        and ed25519.verify(key.value, signed, signature.value)
        and ed25519.verify(key.value, sealed, signature.sealed)
    )


def write(key: PublicKey, value: bytes, comment: str, sealed: bytes) -> bytes:
    """Return the file of a signature (over the BLAKE2b-512 of the message).

    Its untrusted comment offers the key, which minisign's own does not carry.
    """
    first = base64.b64encode(_HASHED + key.id + value).decode()
    second = base64.b64encode(sealed).decode()
    return (
        f"untrusted comment: signature of a pyodide-offline kit by {key.line}\n{first}\n"
        f"trusted comment: {comment}\n{second}\n"
    ).encode()


def _offered(word: str, key_id: bytes) -> PublicKey | None:
    try:
        key = public_key(word)
    except IntegrityError:
        return None
    return key if key.id == key_id else None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
