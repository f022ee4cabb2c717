"""What a kit is for programs that know OCI: an index with one artifact a platform. Pure.

OCI image-spec v1.1. Each platform's image manifest has our manifest as its config and the
blobs that this platform needs as its layers, so a client may copy one platform or all; what
is for every platform lies there once. The signatures are annotations, ``kit.pyz`` and the
list of components are layers: a registry carries all that unpacking needs.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyodide_offline.kits.manifest import Manifest, Part

TYPE = "application/vnd.pyodide-offline.kit.v1"
SIGNED = f"{TYPE}.minisig"
_CONFIG = "application/vnd.pyodide-offline.kit.manifest.v1+json"
_IMAGE = "application/vnd.oci.image"
_SYSTEMS = {"win32": "windows"}
_MACHINES = {"x64": "amd64"}


@dataclass(frozen=True)
class Documents:
    """``index`` is index.json; ``blobs`` are the documents that it leads to."""

    index: bytes
    blobs: tuple[bytes, ...]
    layout: bytes = b'{"imageLayoutVersion":"1.0.0"}\n'


def documents(manifest: Manifest, data: bytes, signatures: Sequence[bytes]) -> Documents:
    """Return OCI's files of a kit whose encoded manifest is ``data``."""
    said = {
        "org.opencontainers.image.created": manifest.created,
        "org.opencontainers.image.title": manifest.name,
    }
    signed = {
        f"{SIGNED}.{number}" if number > 1 else SIGNED: signature.decode("latin-1")
        for number, signature in enumerate(signatures, 1)
    }
    images = {
        target: _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_IMAGE}.manifest.v1+json",
                "artifactType": TYPE,
                "config": _descriptor(_CONFIG, data),
                "layers": list(_layers(manifest, target)),
                "annotations": {**said, **signed},
            }
        )
        for target in sorted(manifest.targets) or [""]
    }
    entries = [
        {
            **_descriptor(f"{_IMAGE}.manifest.v1+json", image),
            **({"platform": _platform(target)} if target else {}),
        }
        for target, image in images.items()
    ]
    blobs = list(images.values())
    if manifest.targets:
        # Programs choose by platform within an index that has a name.
        blobs.append(
            _json({**_index(entries), "artifactType": TYPE, "annotations": {**said, **signed}})
        )
        entries = [_descriptor(f"{_IMAGE}.index.v1+json", blobs[-1])]
    name = {"org.opencontainers.image.ref.name": f"{manifest.serial}"}
    index = _json(_index([{**entry, "annotations": name} for entry in entries]))
    return Documents(index, tuple(blobs))


def _index(entries: list[dict[str, object]]) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": f"{_IMAGE}.index.v1+json", "manifests": entries}


def _platform(target: str) -> dict[str, str]:
    system, _, machine = target.partition("-")
    return {
        "os": _SYSTEMS.get(system, system),
        "architecture": _MACHINES.get(machine, machine),
    }


def _layers(manifest: Manifest, target: str) -> Iterator[dict[str, object]]:
    for name, part in sorted(manifest.parts.items()):
        yield _layer(part, {"org.opencontainers.image.title": name})
    wanted = [one for one in manifest.items if not one.targets or target in one.targets]
    first = {item.sha256: item for item in reversed(wanted)}
    for sha256, size in manifest.carried.items():
        if item := first.get(sha256):
            said = {"org.opencontainers.image.title": item.file, f"{TYPE}.kind": item.kind}
            if item.purl:
                said[f"{TYPE}.purl"] = item.purl
            yield _layer(Part(size, sha256), said)


def _layer(part: Part, annotations: dict[str, str]) -> dict[str, object]:
    return {
        "mediaType": "application/octet-stream",
        "digest": f"sha256:{part.sha256}",
        "size": part.size,
        "annotations": annotations,
    }


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
