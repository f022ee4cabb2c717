"""The kit's list of components for others' tools: CycloneDX 1.6 JSON. Pure."""

import json

from pyodide_offline import digest as digests
from pyodide_offline.kits.manifest import Item, Manifest

_ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def encode(manifest: Manifest) -> bytes:
    """Return the same bytes for the same items: no time but ``created``, no random number."""
    record = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": manifest.created,
            "component": {
                "type": "application",
                "bom-ref": "kit",
                "name": manifest.name,
                "version": str(manifest.serial),
            },
        },
        "components": [
            _component(item) for item in sorted(manifest.items, key=lambda one: one.key)
        ],
    }
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _component(item: Item) -> dict[str, object]:
    hashes = {"SHA-256": item.sha256}
    if item.upstream:
        try:
            upstream = digests.parse(item.upstream)
        except ValueError:
            pass
        else:
            hashes.setdefault(_ALGORITHMS[upstream.algorithm], upstream.hex)
    found: dict[str, object] = {
        "type": "library" if item.kind in ("npm", "wheel") else "file",
        "bom-ref": "/".join(item.key),
        "name": item.name,
        "version": item.version,
        "hashes": [{"alg": name, "content": value} for name, value in sorted(hashes.items())],
        "properties": [
            {"name": "pyodide-offline:kind", "value": item.kind},
            {"name": "pyodide-offline:file", "value": item.file},
            {"name": "pyodide-offline:size", "value": str(item.size)},
            *({"name": "pyodide-offline:target", "value": one} for one in item.targets),
        ],
    }
    if item.purl:
        found["purl"] = item.purl
    return found
