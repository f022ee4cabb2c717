"""What skopeo copied of a kit is read as the kit: all of it, or one platform's part."""

import json
import subprocess
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import unpacking, volumes, writing
from pyodide_offline.kits.manifest import Manifest
from pyodide_offline.kits.trust import Known, Terms
from pyodide_offline.kits.unpacking import Outcome
from tests.peers import kits

TERMS = Terms(keys=(kits.key().public,), need=1)
ALL = ("copy", "--all")
ARM = ("--override-os", "linux", "--override-arch", "arm64", "copy")
OTHERS = {"linux-x64", "win32-x64"}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return kits.for_platforms(tmp_path / "my.kit")


def copied(tmp_path: Path, kind: str, *words: str, name: str = "copy") -> Path:
    """Have the kit copied by a program that knows OCI; ``kind`` is oci or oci-archive."""
    done = subprocess.run(
        ["skopeo", *words, f"oci-archive:{tmp_path}/my.kit", f"{kind}:{tmp_path}/{name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / name


def verified(copy: Path) -> list[str]:
    return [str(one) for one in unpacking.verify([copy], Known(), TERMS)[1]]


def unpacked(copy: Path, tmp_path: Path, terms: Terms = TERMS) -> Outcome:
    return unpacking.unpack([copy], tmp_path / "store", tmp_path / "trust.json", terms)


def blob(copy: Path, sha256: str) -> Path:
    return copy / "blobs" / "sha256" / sha256


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_copy_of_all_platforms_is_the_kit_byte_for_byte(
    tmp_path: Path, manifest: Manifest, kind: str
) -> None:
    copy = copied(tmp_path, kind, *ALL)
    assert verified(copy) == []
    writing.join([copy], tmp_path / "back.kit")
    assert (tmp_path / "back.kit").read_bytes() == (tmp_path / "my.kit").read_bytes()
    done = unpacked(copy, tmp_path)
    assert (done.faults, done.written) == ((), len(manifest.items))
    assert done.generation is not None
    assert done.generation.lacking == frozenset()


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_copy_of_one_platform_is_verified_and_unpacked(
    tmp_path: Path, manifest: Manifest, kind: str
) -> None:
    copy = copied(tmp_path, kind, *ARM)
    assert verified(copy) == []
    done = unpacked(copy, tmp_path)
    assert (done.faults, done.written) == ((), 2)
    found = unpacking.current(tmp_path / "store")
    assert found == done.generation
    assert found is not None
    assert found.manifest == manifest
    lacking = {one.name for one in manifest.items if one.sha256 in found.lacking}
    assert lacking == OTHERS
    assert {path.read_bytes() for path in found.places.values()} == {
        b"a program for linux-arm64",
        *(content for kind, (content, _) in kits.FILES.items() if kind == manifest.items[0].kind),
    }


def test_what_a_copy_lacks_may_come_later_or_be_there(tmp_path: Path, manifest: Manifest) -> None:
    copy = copied(tmp_path, "oci", *ARM)
    unpacked(copy, tmp_path)
    assert unpacked(tmp_path / "my.kit", tmp_path).written == 2
    whole = unpacking.current(tmp_path / "store")
    assert whole is not None
    assert (len(whole.places), whole.lacking) == (len(manifest.items), frozenset())
    assert unpacked(copy, tmp_path).generation == whole


def test_a_rollback_to_a_copys_generation_misses_nothing(
    tmp_path: Path, manifest: Manifest
) -> None:
    first = unpacked(copied(tmp_path, "oci", *ARM), tmp_path).generation
    kits.kit(tmp_path / "other.kit", extra=b"newer")
    assert unpacked(tmp_path / "other.kit", tmp_path).generation is not None
    assert unpacking.rollback(tmp_path / "store") == first


def test_a_copy_of_one_platform_is_not_joined_to_a_kit(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(IntegrityError, match="copy for some platforms only"):
        writing.join([copied(tmp_path, "oci", *ARM)], tmp_path / "back.kit")
    assert not (tmp_path / "back.kit").exists()


def test_a_copy_is_trusted_by_the_same_rules(tmp_path: Path, manifest: Manifest) -> None:
    copy = copied(tmp_path, "oci", *ARM)
    assert len(volumes.head([copy]).signatures) == 2
    refused = unpacked(copy, tmp_path, Terms(keys=(kits.key(3).public,)))
    assert refused.generation is None
    assert unpacked(copy, tmp_path, Terms(keys=TERMS.keys, need=2)).generation is None
    both = Terms(keys=(kits.key().public, kits.key(2).public), need=2)
    assert unpacked(copy, tmp_path, both).generation is not None


@pytest.mark.parametrize("damage", ["missing", "shorter", "flipped"])
def test_a_blob_that_the_platform_needs_is_looked_for(
    tmp_path: Path, manifest: Manifest, damage: str
) -> None:
    copy = copied(tmp_path, "oci", *ARM)
    (item,) = [one for one in manifest.items if one.name == "linux-arm64"]
    path = blob(copy, item.sha256)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "shorter" else bytes([data[0] ^ 1]) + data[1:])
    (fault,) = verified(copy)
    assert item.sha256 in fault
    expected = {"missing": "it is missing", "shorter": "belong there", "flipped": "damaged"}
    assert expected[damage] in fault
    assert unpacked(copy, tmp_path).generation is None
    assert not (tmp_path / "store" / "current").exists()


@pytest.mark.parametrize("document", ["image", "manifest", "index", "kit.pyz"])
def test_a_copy_whose_documents_were_altered_is_refused(
    tmp_path: Path, manifest: Manifest, document: str
) -> None:
    copy = copied(tmp_path, "oci", *ARM)
    index = json.loads((copy / "index.json").read_bytes())
    image = blob(copy, index["manifests"][0]["digest"].partition(":")[2])
    data = json.loads(image.read_bytes())
    if document == "image":
        image.write_bytes(image.read_bytes().replace(b"minisig", b"minisih", 1))
    elif document == "manifest":
        config = blob(copy, data["config"]["digest"].partition(":")[2])
        config.write_bytes(config.read_bytes().replace(b'"serial":7', b'"serial":8'))
    elif document == "index":
        (copy / "index.json").write_bytes(b"[" * 100_000)
    else:
        blob(copy, manifest.parts["kit.pyz"].sha256).write_bytes(b"print('hello')\n")
    assert verified(copy) != []
    assert unpacked(copy, tmp_path).generation is None


@pytest.mark.parametrize("content", ["nothing", "another"])
def test_a_layout_without_a_kit_is_none(tmp_path: Path, manifest: Manifest, content: str) -> None:
    copy = copied(tmp_path, "oci", *ARM)
    index = json.loads((copy / "index.json").read_bytes())
    image = blob(copy, index["manifests"][0]["digest"].partition(":")[2])
    if content == "nothing":
        (copy / "index.json").write_text('{"manifests": null}')
    else:
        image.write_text('{"artifactType": "application/vnd.other"}')
    assert "no kit is in it" in verified(copy)[0]
