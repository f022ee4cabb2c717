"""Where things lie in a depot: keys, made from what others name as they like. Pure.

A key is what every engine can hold: segments of ``a-z 0-9 . _ - ~ =`` parted by ``/``.
Foreign names (npm's with a scope and capitals, a path) become one segment: every other
byte, capitals too, is ``=`` and two hex digits, so two names never share a key, also
where a filesystem takes ``A`` for ``a``. A name too long for a file keeps its beginning
and gets the digest of the whole.
"""

import re
from hashlib import sha256

BLOBS = "blobs/"
REFS = "refs/"
LEASES = "leases/"
MAX_SEGMENT = 200
MAX_KEY = 512

_SEGMENT = re.compile(r"[a-z0-9_=~-][a-z0-9._=~-]*")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_HEX = {"sha256": 64, "sha384": 96, "sha512": 128}


def blob_key(algorithm: str, hex_digits: str) -> str:
    """Return the key of content under its digest. Raises ValueError for no digest."""
    if len(hex_digits) != _HEX.get(algorithm, -1) or not re.fullmatch(r"[0-9a-f]+", hex_digits):
        raise ValueError(f"not a digest in hex: {algorithm}:{hex_digits[:150]}")
    return f"{BLOBS}{algorithm}/{hex_digits[:2]}/{hex_digits}"


def ref_key(kind: str, name: str) -> str:
    """Return the key of a name of upstream's; ``kind`` is ours: segments parted by ``/``."""
    return checked(f"{REFS}{kind}/{quoted(name)}")


def lease_key(name: str) -> str:
    """Return the key of the lease for the thing of this name, such as a key's own text."""
    return checked(f"{LEASES}{quoted(name)}")


def digest_of(key: str) -> tuple[str, str] | None:
    """Return algorithm and hex digits of a blob's key; None for any other key."""
    match = re.fullmatch(r"blobs/(sha\d+)/([0-9a-f]{2})/([0-9a-f]+)", key)
    if match is None or len(match[3]) != _HEX.get(match[1], -1) or match[3][:2] != match[2]:
        return None
    return match[1], match[3]


def quoted(name: str) -> str:
    """Return one segment for any text, bounded; no two texts share one."""
    data = name.encode("utf-8", "surrogatepass")
    parts = [chr(one) if one in _PLAIN else f"={one:02x}" for one in data]
    if parts and parts[0] == ".":
        parts[0] = "=2e"  # neither "." nor ".." nor hidden
    text = "".join(parts) or "="
    if len(text) <= MAX_SEGMENT:
        return text
    return f"{text[:100]}~{sha256(data).hexdigest()}"


def checked(key: str) -> str:
    """Return a key that leads nowhere but into a depot. Raises ValueError."""
    if len(key) > MAX_KEY:
        raise ValueError(f"too long for a key: {key[:60]}…")
    for segment in key.split("/"):
        if len(segment) > MAX_SEGMENT or not _SEGMENT.fullmatch(segment):
            raise ValueError(f"not a key: {key[:150]!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """Return a prefix that ends where a segment does: empty, or with ``/``. Raises ValueError."""
    if prefix and (not prefix.endswith("/") or checked(prefix[:-1]) != prefix[:-1]):
        raise ValueError(f"a prefix ends with /: {prefix[:150]!r}")
    return prefix
