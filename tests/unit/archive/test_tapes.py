"""Tar archives as package makers write them, and headers that nobody wrote."""

import io
import tarfile
from pathlib import Path

import pytest

from pyodide_offline.archive.bounds import Bounds, Refused
from pyodide_offline.archive.tapes import Entry, entries
from tests.peers.hostile import member, tar

FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def _read(data: bytes, bounds: Bounds | None = None) -> list[tuple[Entry, bytes]]:
    found = entries(io.BytesIO(data), len(data), bounds or Bounds())
    return [(one, b"".join(one.chunks())) for one in found]


@pytest.mark.parametrize("form", FORMS)
def test_names_sizes_and_content_are_tarfiles_own(tmp_path: Path, form: str) -> None:
    names = ["short", "a/" * 40 + "x" * 90, "b" * 60 + "/" + "c" * 99]
    if form != "ustar":
        names += ["d/" * 100 + "long", "e\u00e9/" + "f" * 120, "g" * 200]
    members = [(member(name), name.encode() * 20) for name in names]
    members.append((member("folder", tarfile.DIRTYPE), b""))
    found = _read(tar(tmp_path / "a", *members, mode="w", form=FORMS[form]).read_bytes())
    assert [(one.name.rstrip("/"), content) for one, content in found] == [
        (info.name, content) for info, content in members
    ]
    assert [one.kind for one, _ in found] == ["a file"] * len(names) + ["a folder"]
    assert {one.mode for one, _ in found} == {0o644}


def test_what_is_not_read_is_passed_over(tmp_path: Path) -> None:
    members = [(member(str(n)), bytes([n]) * (n * 700)) for n in range(9)]
    data = tar(tmp_path / "a", *members).read_bytes()
    found = entries(io.BytesIO(data), len(data), Bounds())
    read = {one.name: b"".join(one.chunks()) for one in found if int(one.name) % 3 == 2}
    assert read == {str(n): bytes([n]) * (n * 700) for n in (2, 5, 8)}


def test_kinds_are_told(tmp_path: Path) -> None:
    kinds = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    members = [(member(str(n), kind, "to"), b"") for n, kind in enumerate(kinds)]
    found = _read(tar(tmp_path / "a", *members).read_bytes())
    assert [one.kind for one, _ in found] == [
        "a hard link",
        "a symbolic link",
        "a device",
        "a device",
        "a pipe",
    ]


def _header(**changed: bytes) -> bytes:
    block = bytearray(member("x").tobuf(tarfile.GNU_FORMAT))
    for name, (start, end) in {"mode": (100, 108), "size": (124, 136), "kind": (156, 157)}.items():
        if name in changed:
            block[start:end] = changed[name].ljust(end - start, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (bytes(range(256)) * 4, "no tar archive"),
        (_header(size=b"99"), "no number"),
        (_header(size=b"\xb2"), "no number"),
        (_header(size=b"\x80" + b"\xff" * 11), "claims"),
        (_header(size=b"7" * 11), "claims"),
        (_header(size=b"5"), "in the middle"),
        (_header(kind=b"V"), "unknown kind"),
        (_header(kind=b"M"), "unknown kind"),
        (_header(kind=b"x", size=b"7777777"), "a header of"),
        (_header(kind=b"L", size=b"77777777777"), "claims"),
        (_header(kind=b"x", size=b"7") + b"3 a=b\n".ljust(512, b"\0"), "pax"),
        (_header(kind=b"x", size=b"10") + b"8 a=b\n\0\0".ljust(512, b"\0"), "pax"),
        (_header(kind=b"x", size=b"6") + b"6 size".ljust(512, b"\0"), "pax"),
        (_header(kind=b"x", size=b"12") + b"10 size=x\n".ljust(512, b"\0") + _header(), "number"),
        (_header(kind=b"g", size=b"12") + b"10 path=x\n".ljust(512, b"\0"), "all of its members"),
    ],
    ids=range(16),
)
def test_a_header_that_cannot_be_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        _read(data)


def test_a_sparse_file_is_refused_in_each_of_its_forms() -> None:
    assert [one.kind for one, _ in _read(_header(kind=b"S"))] == ["a sparse file"]
    said = b"23 GNU.sparse.major=1\n"
    said = b"%d" % len(said) + said[2:]
    with pytest.raises(Refused, match="sparse"):
        _read(_header(kind=b"x", size=b"%o" % len(said)) + said.ljust(512, b"\0"))


def test_members_are_counted_and_headers_of_headers_too() -> None:
    many = _header() * 30 + bytes(1024)
    assert len(_read(many, Bounds(members=30))) == 30
    with pytest.raises(Refused, match="over 29 members"):
        _read(many, Bounds(members=29))
    with pytest.raises(Refused, match="over 9 members"):
        _read(_header(kind=b"x") * 10, Bounds(members=9))


def test_every_changed_bit_of_a_header_is_found(tmp_path: Path) -> None:
    data = tar(tmp_path / "a", (member("name"), b"content"), mode="w").read_bytes()
    for bit in (*range(8 * 148), *range(8 * 156, 8 * 512)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            _read(bytes(changed))
