"""Zip archives: wheels are read, what contradicts itself is not."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from pyodide_offline.archive.bounds import Bounds, Refused
from pyodide_offline.archive.zips import Entry, entries
from tests.peers.hostile import zipped


def _read(data: bytes, bounds: Bounds | None = None) -> list[tuple[Entry, bytes]]:
    found = entries(io.BytesIO(data), len(data), bounds or Bounds())
    return [(one, b"".join(one.chunks())) for one in found]


def _data(tmp_path: Path, *members: tuple[str, bytes], mode: int = 0o100644) -> bytes:
    return zipped(tmp_path / "a.zip", *members, mode=mode).read_bytes()


def test_names_modes_and_content_are_zipfiles_own(tmp_path: Path) -> None:
    members = [("a/b.py", b"x" * 600_000), ("a/\u00e9", b"y"), ("empty", b"")]
    found = _read(_data(tmp_path, *members, mode=0o100755))
    assert [(one.name, content) for one, content in found] == members
    assert {one.mode & 0o777 for one, _ in found} == {0o755}


def test_stored_members_folders_and_streams_are_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("stored", b"s" * 1000)
        archive.writestr("folder/", b"")
        archive.writestr("deflated", b"d" * 1000, zipfile.ZIP_DEFLATED)
    found = {one.name: (one.kind, content) for one, content in _read(out.getvalue())}
    assert found == {
        "stored": ("a file", b"s" * 1000),
        "folder/": ("a folder", b""),
        "deflated": ("a file", b"d" * 1000),
    }


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(0o120777, "a symbolic link"), (0o020600, "a device"), (0o010600, "a device")],
)
def test_links_and_devices_are_told(tmp_path: Path, mode: int, kind: str) -> None:
    assert [one.kind for one, _ in _read(_data(tmp_path, ("x", b"/etc"), mode=mode))] == [kind]


def _changed(data: bytes, field: str, value: int) -> bytes:
    """Change a field of the only member's entry in the list, or of the end."""
    listed, end = data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
    place, form = {
        "flags": (listed + 8, "<H"),
        "method": (listed + 10, "<H"),
        "crc": (listed + 16, "<L"),
        "packed": (listed + 20, "<L"),
        "size": (listed + 24, "<L"),
        "offset": (listed + 42, "<L"),
        "disk": (end + 4, "<H"),
        "number": (end + 10, "<H"),
        "length": (end + 12, "<L"),
        "start": (end + 16, "<L"),
        "comment": (end + 20, "<H"),
    }[field]
    found = bytearray(data)
    struct.pack_into(form, found, place, value)
    return bytes(found)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("flags", 1, "encrypted"),
        ("method", 12, "unusual"),
        ("method", 0, "another name or form"),
        ("crc", 1, "damaged"),
        ("packed", 5, "damaged"),
        ("packed", 5000, "does not end"),
        ("packed", 0xFFFFFFFF, "does not end"),
        ("size", 999, "larger than it claims"),
        ("size", 1001, "damaged"),
        ("size", 2 << 30, "claims"),
        ("offset", 3, "no header"),
        ("offset", 1 << 30, "no header"),
        ("disk", 1, "several parts"),
        ("number", 2, "several parts"),
        ("length", 5, "belongs"),
        ("start", 5, "belongs"),
        ("start", 0xFFFFFFFF, "Zip64"),
        ("comment", 1, "belongs"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_list_that_contradicts_the_rest_is_refused(
    tmp_path: Path, field: str, value: int, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        _read(_changed(_data(tmp_path, ("x", b"y" * 1000)), field, value))


def test_a_member_under_another_name_is_refused(tmp_path: Path) -> None:
    data = bytearray(_data(tmp_path, ("name", b"y")))
    data[30:34] = b"NAME"
    with pytest.raises(Refused, match="another name"):
        _read(bytes(data))


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    data = _data(tmp_path, ("a", b"y" * 1000), ("b", b"y" * 1000))
    with pytest.raises(Refused, match="shares its bytes"):
        _read(_changed(data, "offset", 0))


@pytest.mark.parametrize("cut", [1, 22, 40, 500])
def test_a_truncated_archive_is_refused(tmp_path: Path, cut: int) -> None:
    data = _data(tmp_path, ("a", bytes(range(256)) * 4))
    with pytest.raises(Refused):
        _read(data[:-cut])


def test_bombs_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    data = _data(tmp_path, *((str(n), bytes(1 << 20)) for n in range(8)))
    with pytest.raises(Refused, match="unpacks to over"):
        next(entries(io.BytesIO(data), len(data), Bounds(floor=4 << 20)))
    with pytest.raises(Refused, match="over 7 members"):
        next(entries(io.BytesIO(data), len(data), Bounds(members=7)))


def test_more_members_than_the_format_has_numbers_are_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(65_600):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    with pytest.raises(Refused, match="Zip64"):
        _read(out.getvalue())
