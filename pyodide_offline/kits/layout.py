"""Where each byte of a kit lies: decided by its manifest alone. Pure.

A kit is a tar (POSIX ustar) of an OCI image layout v1, in this order: ``kit.pyz``,
``manifest.json``, ``manifest.json.minisig`` where it is signed, ``sbom.cdx.json``,
``oci-layout``, ``index.json``, then ``blobs/sha256/…`` by digest. Writer and reader take
headers, order and the OCI files from here, so a reader compares and never interprets: a
link, a device, a second name, an odd mode or a changed padding byte are all just "not the
bytes that belong here".
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from pyodide_offline.kits.manifest import NAME, Manifest

BLOCK = 512
END = bytes(2 * BLOCK)
PROGRAM = "kit.pyz"
SIGNATURE = "manifest.json.minisig"
SBOM = "sbom.cdx.json"
OCI_LAYOUT = "oci-layout"
INDEX = "index.json"
TYPE = "application/vnd.pyodide-offline.kit.v1"
_CONFIG = "application/vnd.pyodide-offline.kit.manifest.v1+json"
_OCI = "application/vnd.oci.image"


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


def opening(manifest: Manifest, data: bytes, signature: bytes | None) -> list[Member]:
    """Return the files before the blobs; ``data`` is the encoded manifest."""
    parts = manifest.parts
    oci, index = _oci(manifest, data, signature)[:2]
    found = [
        Member(PROGRAM, parts[PROGRAM].size, parts[PROGRAM].sha256, mode=0o755),
        _known(NAME, data),
        Member(SBOM, parts[SBOM].size, parts[SBOM].sha256),
        _known(OCI_LAYOUT, oci),
        _known(INDEX, index),
    ]
    if signature is not None:
        found.insert(2, _known(SIGNATURE, signature))
    return found


def blobs(manifest: Manifest, data: bytes, signature: bytes | None) -> list[Member]:
    """Return the blobs in their order: the items', the manifest as OCI config, OCI's own."""
    image = _oci(manifest, data, signature)[2]
    own = {hashlib.sha256(blob).hexdigest(): blob for blob in (data, image)}
    sizes = manifest.carried | {name: len(blob) for name, blob in own.items()}
    return [
        Member(f"blobs/sha256/{name}", sizes[name], name, own.get(name)) for name in sorted(sizes)
    ]


def places(manifest: Manifest, data: bytes, signature: bytes | None) -> dict[str, int]:
    """Return where in the file each blob's content begins: hex digest → byte."""
    at = sum(room(member.size) for member in opening(manifest, data, signature))
    found = {}
    for member in blobs(manifest, data, signature):
        found[member.sha256] = at + BLOCK
        at += room(member.size)
    return found


def length(manifest: Manifest, data: bytes, signature: bytes | None) -> int:
    """Return the size of the whole kit in bytes."""
    members = opening(manifest, data, signature) + blobs(manifest, data, signature)
    return sum(room(member.size) for member in members) + len(END)


def _known(name: str, data: bytes) -> Member:
    return Member(name, len(data), hashlib.sha256(data).hexdigest(), data)


def _oci(manifest: Manifest, data: bytes, signature: bytes | None) -> tuple[bytes, bytes, bytes]:
    """Return oci-layout, index.json and the image manifest (OCI image-spec v1.1).

    One artifact: our manifest is its config, each carried blob a layer, the signature an
    annotation, so that a registry carries all that unpacking needs.
    """
    image = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "artifactType": TYPE,
            "config": _descriptor(_CONFIG, data),
            "layers": list(_layers(manifest)),
            "annotations": {
                "org.opencontainers.image.created": manifest.created,
                "org.opencontainers.image.title": manifest.name,
                **({f"{TYPE}.minisig": signature.decode("latin-1")} if signature else {}),
            },
        }
    )
    name = {"org.opencontainers.image.ref.name": f"{manifest.serial}"}
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.index.v1+json",
            "manifests": [
                {**_descriptor(f"{_OCI}.manifest.v1+json", image), "annotations": name},
            ],
        }
    )
    return _json({"imageLayoutVersion": "1.0.0"}), index, image


def _layers(manifest: Manifest) -> Iterator[dict[str, object]]:
    first = {item.sha256: item for item in reversed(manifest.items)}
    for sha256, size in manifest.carried.items():
        item = first[sha256]
        yield {
            "mediaType": "application/octet-stream",
            "digest": f"sha256:{sha256}",
            "size": size,
            "annotations": {
                "org.opencontainers.image.title": item.file,
                f"{TYPE}.kind": item.kind,
                **({f"{TYPE}.purl": item.purl} if item.purl else {}),
            },
        }


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
