"""The list of components: what a reader of CycloneDX needs."""

import dataclasses
import json
from pathlib import Path

from pyodide_offline.kits import sbom
from tests.peers import kits


def test_each_item_is_a_component_with_its_digests_and_purl(tmp_path: Path) -> None:
    manifest, _ = kits.contents(tmp_path)
    sri = f"sha512-{'A' * 86}=="
    first = dataclasses.replace(manifest.items[0], upstream=sri)
    manifest = dataclasses.replace(manifest, items=(first, *manifest.items[1:]))
    found = json.loads(sbom.encode(manifest))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["name"] == "example"
    assert len({one["bom-ref"] for one in found["components"]}) == len(manifest.items)
    (npm,) = (one for one in found["components"] if one["name"] == "@scope/npm-one")
    assert npm["purl"] == "pkg:npm/%40scope/one@1.0.0"
    assert npm["hashes"] == [
        {"alg": "SHA-256", "content": first.sha256},
        {"alg": "SHA-512", "content": "0" * 128},
    ]


def test_a_digest_that_cannot_be_read_is_left_out_and_the_order_is_fixed(tmp_path: Path) -> None:
    manifest, _ = kits.contents(tmp_path)
    items = tuple(dataclasses.replace(one, upstream="no digest") for one in manifest.items)
    one = sbom.encode(dataclasses.replace(manifest, items=items))
    assert one == sbom.encode(dataclasses.replace(manifest, items=items[::-1]))
    assert all(len(part["hashes"]) == 1 for part in json.loads(one)["components"])
