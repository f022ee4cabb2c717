"""Headers and OCI files: what others' readers make of them."""

import io
import json
import tarfile
from pathlib import Path

from pyodide_offline.kits import layout, oci
from pyodide_offline.kits.manifest import encode
from tests.peers import kits


def test_a_header_says_to_tarfile_what_it_means() -> None:
    for name, size, mode in [("kit.pyz", 0, 0o755), (f"blobs/sha256/{'a' * 64}", 1 << 32, 0o644)]:
        block = layout.header(name, size, mode, 1_700_000_000)
        found = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        assert (found.name, found.size, found.mode) == (name, size, mode)
        assert (found.mtime, found.uid, found.gid) == (1_700_000_000, 0, 0)
        assert (found.uname, found.gname, found.type) == ("", "", tarfile.REGTYPE)


def test_a_file_takes_its_header_and_whole_blocks() -> None:
    assert [layout.room(size) for size in (0, 1, 512, 513)] == [512, 1024, 1024, 1536]


def test_the_index_leads_to_the_manifest_and_to_each_carried_blob(tmp_path: Path) -> None:
    target = tmp_path / "kit.tar"
    manifest = kits.kit(target)
    data = encode(manifest)
    with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as tar:
        content = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    assert list(content)[:6] == [
        "kit.pyz", "manifest.json", "manifest.json.minisig", "sbom.cdx.json", "oci-layout",
        "index.json",
    ]  # fmt: skip
    assert list(content)[6:] == sorted(list(content)[6:])

    def blob(descriptor: dict[str, str]) -> bytes:
        return content[f"blobs/{descriptor['digest'].replace(':', '/')}"]

    named = json.loads(blob(json.loads(content["index.json"])["manifests"][0]))
    (one,) = named["manifests"]
    assert one["platform"] == {"os": "linux", "architecture": "amd64"}
    image = json.loads(blob(one))
    assert blob(image["config"]) == data == content["manifest.json"]
    brought = {blob(one) for one in image["layers"]}
    assert {len(one) for one in brought} >= {one.size for one in manifest.items}
    assert {content["kit.pyz"], content["sbom.cdx.json"]} <= brought
    signed = content[layout.SIGNATURE]
    assert image["annotations"][oci.SIGNED].encode() == signed
    places = layout.places(manifest, data, [signed])
    for item in manifest.items:
        place = places[item.sha256]
        assert (
            target.read_bytes()[place : place + item.size]
            == (content[f"blobs/sha256/{item.sha256}"])
        )
    assert layout.length(manifest, data, [signed]) == target.stat().st_size
