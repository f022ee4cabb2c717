"""Headers and OCI files: what others' readers make of them."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from pyodide_offline.kits import layout
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

    image = json.loads(blob(json.loads(content["index.json"])["manifests"][0]))
    assert blob(image["config"]) == data == content["manifest.json"]
    assert {len(blob(one)) for one in image["layers"]} == {one.size for one in manifest.items}
    assert image["annotations"][f"{layout.TYPE}.minisig"].encode() == content[layout.SIGNATURE]
    places = layout.places(manifest, data, content[layout.SIGNATURE])
    for item in manifest.items:
        place = places[item.sha256]
        assert (
            target.read_bytes()[place : place + item.size]
            == (content[f"blobs/sha256/{item.sha256}"])
        )
    assert layout.length(manifest, data, content[layout.SIGNATURE]) == target.stat().st_size


@pytest.mark.parametrize("source", ["oci:{folder}:7", "oci-archive:{kit}:7"])
def test_debians_skopeo_copies_a_kit_and_its_unpacked_layout(tmp_path: Path, source: str) -> None:
    target, folder, copy = tmp_path / "kits" / "my.kit", tmp_path / "layout", tmp_path / "copy"
    manifest = kits.kit(target)
    with tarfile.open(target) as tar:
        tar.extractall(folder, filter="data")
    words = ["copy", source.format(folder=folder, kit=target), f"oci:{copy}:7"]
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    copied = {path.name for path in (copy / "blobs" / "sha256").iterdir()}
    assert copied >= {item.sha256 for item in manifest.items}
