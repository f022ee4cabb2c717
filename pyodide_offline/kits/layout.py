"""Where each byte of a kit lies: decided by its manifest alone. Pure.

A kit is a tar (POSIX ustar) of an OCI image layout v1, in this order: ``kit.pyz``,
``manifest.json``, a signature of it by each signer (``manifest.json.minisig``,
``manifest.json.minisig.2``, …), ``sbom.cdx.json``, ``oci-layout``, ``index.json``, then
``blobs/sha256/…`` by digest. Writer and reader take headers, order and the OCI files from
here, so a reader compares and never interprets: a link, a device, a second name, an odd mode
or a changed padding byte are all just "not the bytes that belong here".
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pyodide_offline.kits import oci
from pyodide_offline.kits.manifest import NAME, Manifest

BLOCK = 512
END = bytes(2 * BLOCK)
PROGRAM = "kit.pyz"
SIGNATURE = "manifest.json.minisig"
SBOM = "sbom.cdx.json"
OCI_LAYOUT = "oci-layout"
INDEX = "index.json"
# More signers than anybody has; a reader looks for no more.
SIGNERS = 16


@dataclass(frozen=True)
class Member:
    """One file of the tar; ``data`` where the manifest alone says it, else None."""

    name: str
    size: int
    sha256: str
    data: bytes | None = None
    mode: int = 0o644


def header(name: str, size: int, mode: int, mtime: int) -> bytes:
    """Return the 512 bytes before a file: POSIX pax, "ustar Header Block"."""
    parts = [
        name.encode().ljust(100, b"\0"),
        b"%07o\0%07o\0%07o\0" % (mode, 0, 0),
        b"%011o\0%011o\0" % (size, mtime),
        b" " * 8,
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(64),
        b"0000000\x000000000\0",
        bytes(167),
    ]
    block = b"".join(parts)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> int:
    """Return how many zero bytes follow a file of ``size`` bytes."""
    return -size % BLOCK


def room(size: int) -> int:
    """Return the bytes that a file takes in the tar, header and padding included."""
    return BLOCK + size + padding(size)


def signature_name(number: int) -> str:
    """Return the name of a signature's file, the first being 1."""
    return SIGNATURE if number == 1 else f"{SIGNATURE}.{number}"


def opening(manifest: Manifest, data: bytes, signatures: Sequence[bytes]) -> list[Member]:
    """Return the files before the blobs; ``data`` is the encoded manifest."""
    parts = manifest.parts
    documents = oci.documents(manifest, data, signatures)
    return [
        Member(PROGRAM, parts[PROGRAM].size, parts[PROGRAM].sha256, mode=0o755),
        _known(NAME, data),
        *(_known(signature_name(number), one) for number, one in enumerate(signatures, 1)),
        Member(SBOM, parts[SBOM].size, parts[SBOM].sha256),
        _known(OCI_LAYOUT, documents.layout),
        _known(INDEX, documents.index),
    ]


def blobs(manifest: Manifest, data: bytes, signatures: Sequence[bytes]) -> list[Member]:
    """Return the blobs in their order: the items', the kit's parts, and OCI's documents."""
    documents = oci.documents(manifest, data, signatures)
    own = {hashlib.sha256(blob).hexdigest(): blob for blob in (data, *documents.blobs)}
    sizes = manifest.carried | {one.sha256: one.size for one in manifest.parts.values()}
    sizes |= {name: len(blob) for name, blob in own.items()}
    return [
        Member(f"blobs/sha256/{name}", sizes[name], name, own.get(name)) for name in sorted(sizes)
    ]


def places(manifest: Manifest, data: bytes, signatures: Sequence[bytes]) -> dict[str, int]:
    """Return where in the file each blob's content begins: hex digest → byte."""
    at = sum(room(member.size) for member in opening(manifest, data, signatures))
    found = {}
    for member in blobs(manifest, data, signatures):
        found[member.sha256] = at + BLOCK
        at += room(member.size)
    return found


def length(manifest: Manifest, data: bytes, signatures: Sequence[bytes]) -> int:
    """Return the size of the whole kit in bytes."""
    members = opening(manifest, data, signatures) + blobs(manifest, data, signatures)
    return sum(room(member.size) for member in members) + len(END)


def _known(name: str, data: bytes) -> Member:
    return Member(name, len(data), hashlib.sha256(data).hexdigest(), data)
