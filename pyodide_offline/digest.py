"""Digests of content: parsed from SRI or hex, computed while bytes pass."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SIZES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_STRENGTH = ["sha1", "sha256", "sha384", "sha512"]
_CHUNK = 1 << 20


class Hasher(Protocol):
    """What hashlib's objects do, as far as it is needed here."""

    def update(self, data: bytes, /) -> None: ...  # noqa: D102
    def digest(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True)
class Digest:
    """One hash value: algorithm name and raw bytes."""

    algorithm: str
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != _SIZES.get(self.algorithm, -1):
            raise ValueError(f"not a {self.algorithm} digest: {len(self.value)} bytes")

    @property
    def hex(self) -> str:
        """The value in lower-case hex."""
        return self.value.hex()

    @property
    def sri(self) -> str:
        """The value as Subresource Integrity writes it: ``sha256-<base64>``."""
        return f"{self.algorithm}-{base64.b64encode(self.value).decode()}"

    @property
    def short(self) -> str:
        """Twelve hex digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def hasher(self) -> Hasher:
        """Return a fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def parse(text: str) -> Digest:
    """Read ``sha256:<hex>`` or an SRI string; of several SRI hashes the strongest.

    W3C Subresource Integrity §3.3 for the choice. Raises ValueError.
    """
    match = re.fullmatch(r"(sha\d+):([0-9a-f]+)", text.strip())
    if match:
        return Digest(match[1], bytes.fromhex(match[2]))
    found = []
    for word in text.split():
        algorithm, _, encoded = word.partition("-")
        if algorithm not in _STRENGTH:
            continue
        try:
            value = base64.b64decode(encoded.split("?", 1)[0], validate=True)
        except binascii.Error as error:
            raise ValueError(f"not a digest: {text!r}") from error
        found.append(Digest(algorithm, value))
    if not found:
        raise ValueError(f"not a digest: {text!r}")
    return max(found, key=lambda one: _STRENGTH.index(one.algorithm))


def of_bytes(data: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest of data in memory."""
    return Digest(algorithm, hashlib.new(algorithm, data, usedforsecurity=False).digest())


def of_file(path: Path, algorithm: str = "sha256") -> Digest:
    """Return the digest of a file's content; OSError passes."""
    with path.open("rb", buffering=0) as file:
        return Digest(algorithm, hashlib.file_digest(file, algorithm).digest())
