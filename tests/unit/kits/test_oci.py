"""What others' programs make of a kit: Debian's skopeo reads, chooses and copies."""

import dataclasses
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from pyodide_offline import archive
from pyodide_offline.kits import oci
from pyodide_offline.kits.writing import write
from tests.peers import kits


def _skopeo(*words: str) -> str:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _blobs(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs" / "sha256").iterdir()}


def test_skopeo_shows_an_artifact_for_each_platform(tmp_path: Path) -> None:
    kits.for_platforms(tmp_path / "my.kit")
    index = json.loads(_skopeo("inspect", "--raw", f"oci-archive:{tmp_path}/my.kit:7"))
    found = [tuple(one["platform"].values()) for one in index["manifests"]]
    assert sorted(found) == sorted((machine, system) for system, machine in kits.PLATFORMS.values())
    assert {name for name in index["annotations"] if name.startswith(oci.SIGNED)} == {
        oci.SIGNED,
        f"{oci.SIGNED}.2",
    }


@pytest.mark.parametrize("name", kits.PLATFORMS)
@pytest.mark.parametrize("source", ["oci:{folder}:7", "oci-archive:{kit}"])
def test_skopeo_copies_one_platform_with_what_is_its_own(
    tmp_path: Path, name: str, source: str
) -> None:
    kit, folder, copy = tmp_path / "my.kit", tmp_path / "layout", tmp_path / "copy"
    manifest = kits.for_platforms(kit)
    archive.unpack(kit, folder)
    system, machine = kits.PLATFORMS[name]
    choice = ["--override-os", system, "--override-arch", machine]
    _skopeo(*choice, "copy", source.format(folder=folder, kit=kit), f"oci:{copy}:one")
    wanted = {one.sha256 for one in manifest.items if one.targets in ((), (name,))}
    others = {one.sha256 for one in manifest.items} - wanted
    parts = {one.sha256 for one in manifest.parts.values()}
    assert _blobs(copy) >= wanted | parts
    assert not _blobs(copy) & others
    image = json.loads(_skopeo("inspect", "--raw", f"oci:{copy}:one"))
    assert {one["digest"].partition(":")[2] for one in image["layers"]} == wanted | parts


def test_skopeo_copies_all_platforms_and_what_is_common_once(tmp_path: Path) -> None:
    manifest = kits.for_platforms(tmp_path / "my.kit")
    _skopeo("copy", "--all", f"oci-archive:{tmp_path}/my.kit", f"oci:{tmp_path}/copy:all")
    assert _blobs(tmp_path / "copy") >= {one.sha256 for one in manifest.items}
    with tarfile.open(tmp_path / "my.kit") as tar:
        ours = [name for name in tar.getnames() if name.startswith("blobs/")]
    assert len(ours) == len(set(ours))
    assert {Path(name).name for name in ours} == _blobs(tmp_path / "copy")


def test_a_kit_for_any_platform_is_one_artifact(tmp_path: Path) -> None:
    manifest, blobs = kits.contents(tmp_path / "files")
    write(tmp_path / "my.kit", dataclasses.replace(manifest, targets=()), blobs)
    image = json.loads(_skopeo("inspect", "--raw", f"oci-archive:{tmp_path}/my.kit"))
    assert len(image["layers"]) == len(blobs) + 2
    _skopeo("copy", f"oci-archive:{tmp_path}/my.kit", f"oci:{tmp_path}/copy:x")
