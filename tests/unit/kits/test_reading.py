"""A kit read: every changed bit and every missing byte is found, whatever it hits."""

import io
import random
import tarfile
from collections.abc import Callable

import pytest

from pyodide_offline.kits import layout
from pyodide_offline.kits.manifest import encode
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, Fault, Head, Reading
from tests.peers import kits

FLIPS, CUTS = 10_000, 200


def _faults(data: bytes) -> list[Fault]:
    reading = Reading(io.BytesIO(data))
    head = reading.head()
    if head:
        reading.blobs(head)
    return reading.faults


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "unsigned"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("kit") / "kit"
    kits.kit(target, signed=request.param)
    return target.read_bytes()


def test_a_whole_kit_has_no_fault_and_says_what_it_is(data: bytes) -> None:
    reading = Reading(io.BytesIO(data))
    head = reading.head()
    assert isinstance(head, Head)
    reading.blobs(head)
    assert reading.faults == []
    assert head.data == encode(head.manifest)
    assert head.manifest.name == "example"
    assert b"CycloneDX" in head.sbom


def test_every_one_of_ten_thousand_changed_bits_is_found(data: bytes) -> None:
    chance = random.Random(7)  # noqa: S311 - the same bits each time
    for bit in chance.sample(
        range(8 * len(data)), FLIPS // (1 if layout.SIGNATURE.encode() in data else 5)
    ):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert _faults(bytes(changed)), f"bit {bit}"


def test_every_changed_bit_of_headers_and_manifest_is_found(data: bytes) -> None:
    start = data.index(b"manifest.json")
    for bit in range(8 * start, 8 * (start + 512), 3):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert _faults(bytes(changed)), f"bit {bit}"


def test_every_truncation_is_found_and_named_so(data: bytes) -> None:
    for size in random.Random(8).sample(range(len(data)), CUTS):  # noqa: S311
        assert _faults(data[:size])[-1].bit == INCOMPLETE, size
    assert {one.bit for one in _faults(data + b"\0")} == {CORRUPT}


def test_reading_goes_on_after_a_damaged_blob(data: bytes) -> None:
    changed = bytearray(data)
    for part in (b"TARball", b"WheeL"):
        changed[data.rindex(part)] ^= 1
    found = [one.where for one in _faults(bytes(changed))]
    assert len(found) == 2
    assert all(one.startswith("blobs/sha256/") for one in found)


def _forged(data: bytes, change: Callable[[str, bytes], list[bytes]]) -> bytes:
    """Write the archive again; ``change`` gets a name and the bytes of that member, whole."""
    with tarfile.open(fileobj=io.BytesIO(data)) as old:
        places = [(one.name, one.offset) for one in old]
    ends = [place for _, place in places[1:]] + [len(data) - len(layout.END)]
    parts: list[bytes] = []
    for (name, start), end in zip(places, ends, strict=True):
        parts += change(name, data[start:end])
    return b"".join([*parts, layout.END])


def _hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


HOSTILE = {
    "absolute path": _hostile("/etc/passwd"),
    "path that leads out": _hostile("../../outside"),
    "symbolic link that leads out": _hostile("blobs/sha256/x", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link that leads out": _hostile("blobs/sha256/x", tarfile.LNKTYPE, "../../x"),
    "character device": _hostile("blobs/sha256/x", tarfile.CHRTYPE),
    "block device": _hostile("blobs/sha256/x", tarfile.BLKTYPE),
    "pipe": _hostile("blobs/sha256/x", tarfile.FIFOTYPE),
    "folder": _hostile("blobs/", tarfile.DIRTYPE),
    "second manifest": _hostile("manifest.json"),
    "name that differs in case only": _hostile("INDEX.JSON"),
    "sparse file": _hostile("blobs/sha256/x", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("place", [layout.PROGRAM, layout.INDEX, "last"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused_and_named(data: bytes, name: str, place: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        place = tar.getnames()[-1] if place == "last" else place
    hostile = HOSTILE[name].tobuf(tarfile.GNU_FORMAT)

    def change(found: str, member: bytes) -> list[bytes]:
        return [hostile, member] if found == place else [member]

    first = _faults(_forged(data, change))[0]
    assert first.where == place
    assert f"{HOSTILE[name].name!r}" in first.reason


def test_an_archive_written_again_unchanged_is_the_same(data: bytes) -> None:
    assert _forged(data, lambda _, member: [member]) == data


@pytest.mark.parametrize(
    ("kind", "word"),
    [(tarfile.SYMTYPE, "a symbolic link"), (tarfile.CHRTYPE, "a device"), (b"x", "a pax header")],
)
def test_what_lies_in_a_place_is_told(data: bytes, kind: bytes, word: str) -> None:
    other = _hostile(layout.INDEX, kind, "/etc/passwd").tobuf(tarfile.USTAR_FORMAT)

    def change(name: str, member: bytes) -> list[bytes]:
        return [other if name == layout.INDEX else member]

    assert f"{word} ('index.json') lies where it belongs" in str(_faults(_forged(data, change)))


@pytest.mark.parametrize("name", [layout.PROGRAM, "manifest.json", layout.SBOM])
def test_a_size_above_the_limit_is_refused_before_it_is_read(data: bytes, name: str) -> None:
    at = data.index(name.encode() + b"\0")
    mode = 0o755 if name == layout.PROGRAM else 0o644
    forged = data[:at] + layout.header(name, (1 << 33) - 1, mode, 0) + data[at + 512 :]
    (fault,) = _faults(forged)
    assert "claims 8589934591 bytes" in fault.reason


@pytest.mark.parametrize("honest", [True, False], ids=["header says so", "header does not"])
def test_a_blob_longer_than_the_manifest_says_is_refused(data: bytes, honest: bool) -> None:
    def change(name: str, member: bytes) -> list[bytes]:
        if not member[512:].startswith(b"WheeL"):
            return [member]
        longer = member[512:] + bytes(5120)
        head = layout.header(name, len(longer), 0o644, 0) if honest else member[:512]
        return [head, longer]

    assert {one.bit for one in _faults(_forged(data, change))} >= {CORRUPT}


@pytest.mark.parametrize(
    "data_", [b"", b"\0" * 10240, b"x" * 3000, b"\x1f\x8b" + bytes(2000)], ids=len
)
def test_what_is_no_kit_at_all_is_told(data_: bytes) -> None:
    assert len(_faults(data_)) == 1
