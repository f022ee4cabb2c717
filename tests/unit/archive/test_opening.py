"""Archives of others, friendly and not."""

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from pyodide_offline import archive
from pyodide_offline.errors import IntegrityError
from tests.peers.hostile import both, gzip_bomb, member, tar, zipped
from tests.peers.registry import pack


def test_the_named_files_come_back_whole_and_missing_ones_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "a b.tgz"
    file.write_bytes(pack({"package/one": b"1" * 100_000, "package/two": b"", "other": b"x"}))
    found = archive.read_members(file, ["package/one", "package/two", "package/three"])
    assert found == {"package/one": b"1" * 100_000, "package/two": b""}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_read(tmp_path: Path, mode: str) -> None:
    file = tar(tmp_path / "a", (member("x"), b"content"), mode=mode)
    assert archive.read_members(file, ["x"]) == {"x": b"content"}


def test_members_of_a_zip_are_read(tmp_path: Path) -> None:
    file = zipped(tmp_path / "a.whl", ("x", b"content"), ("y", b""))
    assert archive.read_members(file, ["x", "z"]) == {"x": b"content"}


def test_links_under_a_wanted_name_are_not_followed(tmp_path: Path) -> None:
    link = member("x", tarfile.SYMTYPE, "/etc/passwd")
    assert archive.read_members(tar(tmp_path / "a", (link, b"")), ["x"]) == {}


def test_a_member_over_the_limit_is_refused(tmp_path: Path) -> None:
    file = tar(tmp_path / "a", (member("y"), b"ten bytes!"), (member("x"), b"eleven byte"))
    bounds = archive.Bounds(member=10)
    assert archive.read_members(file, ["y"], bounds) == {"y": b"ten bytes!"}
    with pytest.raises(IntegrityError, match="'x' claims 11 bytes"):
        archive.read_members(file, ["x"], bounds)


@pytest.mark.parametrize("damage", ["empty", "random", "truncated"])
def test_a_damaged_archive_is_an_integrity_error(tmp_path: Path, damage: str) -> None:
    whole = pack({"x": bytes(range(256)) * 4000})
    data = {
        "empty": b"",
        "random": bytes(reversed(range(256))),
        "truncated": whole[: len(whole) // 2],
    }[damage]
    file = tmp_path / "a.tgz"
    file.write_bytes(data)
    _refused(file)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damage_that_the_decompressor_finds_is_an_integrity_error(
    tmp_path: Path, mode: str
) -> None:
    words = b" ".join(hashlib.sha256(bytes([n])).hexdigest().encode() for n in range(256))
    file = tar(tmp_path / "a.tgz", (member("x"), words * 20), mode=mode)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    file.write_bytes(data)
    _refused(file)


def _refused(file: Path, why: str = "") -> None:
    with pytest.raises(IntegrityError, match=rf"{file.name} cannot be read.*{why}"):
        archive.read_members(file, ["x"])
    _not_unpacked(file, why)


def _not_unpacked(file: Path, why: str) -> None:
    """Nothing is outside of the folder, whatever is inside."""
    room = file.with_name(f"room of {file.name}")
    with pytest.raises(IntegrityError, match=rf"{file.name} cannot be read.*{why}"):
        archive.unpack(file, room / "to")
    assert [path.name for path in room.glob("*")] in ([], ["to"])
    assert not any(path.is_symlink() for path in room.rglob("*"))


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("a file in its place")
    with pytest.raises((NotADirectoryError, FileExistsError)):
        archive.unpack(tar(tmp_path / "a", (member("x/y"), b"")), tmp_path / "to")
    assert (tmp_path / "to").read_text() == "a file in its place"


def test_what_is_there_already_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "to/x").symlink_to(tmp_path / "secret")
    with pytest.raises(FileExistsError):
        archive.unpack(tar(tmp_path / "a", (member("x"), b"lost")), tmp_path / "to")
    assert (tmp_path / "secret").read_text() == "kept"


def test_folders_are_stripped_and_programs_stay_programs(tmp_path: Path) -> None:
    program, text = member("package/bin/x"), member("package/text")
    program.mode, text.mode, program.uid = 0o6755, 0o666, 12345
    file = tar(tmp_path / "a", (program, b"#!"), (text, b"t"), (member("above"), b""))
    archive.unpack(file, tmp_path / "to", strip=1)
    there = {path.relative_to(tmp_path / "to").as_posix(): path for path in _files(tmp_path / "to")}
    assert sorted(there) == ["bin/x", "text"]
    assert (there["bin/x"].read_bytes(), there["text"].read_bytes()) == (b"#!", b"t")
    if os.name != "nt":
        modes = [there[name].stat().st_mode & 0o7133 for name in ("bin/x", "text")]
        assert modes == [0o111, 0]
        assert there["bin/x"].stat().st_uid == os.getuid()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["/etc/outside"], "absolute path"),
        (["../outside"], "leads out"),
        (["a/../../outside"], "leads out"),
        (["a\\..\\outside"], "character"),
        (["x", "x"], "twice"),
        (["x", "./x"], "twice"),
        (["readme", "README"], "case only"),
        (["lib/a", "Lib/b"], "case only"),
        (["x", "x/y"], "twice"),
    ],
    ids=range(9),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_leads_out_or_clashes_is_refused(
    tmp_path: Path, names: list[str], why: str
) -> None:
    for file in both(tmp_path, names):
        _not_unpacked(file, why)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
    ],
    ids=["symlink", "hard link", "tty", "disk", "pipe", "sparse"],
)
@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd", "inside"])
def test_links_devices_and_sparse_files_are_refused(
    tmp_path: Path, kind: bytes, why: str, target: str
) -> None:
    _not_unpacked(tar(tmp_path / "a", (member("x", kind, target), b"")), why)


def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path) -> None:
    for mode, why in ((0o120777, "a symbolic link"), (0o060600, "a device")):
        _not_unpacked(zipped(tmp_path / f"{mode}.zip", ("x", b"/etc"), mode=mode), why)


def test_a_gzip_bomb_is_stopped_early(tmp_path: Path) -> None:
    bomb = gzip_bomb(tmp_path / "bomb.tgz", 200 << 20)
    assert bomb.stat().st_size < 1 << 20
    _refused(bomb, "unpacks to over")
    written = sum(path.stat().st_size for path in _files(tmp_path))
    assert written <= (64 << 20) + bomb.stat().st_size


def test_a_bomb_in_what_nobody_wants_is_stopped(tmp_path: Path) -> None:
    bomb = gzip_bomb(tmp_path / "bomb.tgz", 200 << 20)
    with pytest.raises(IntegrityError, match="unpacks to over"):
        archive.read_members(bomb, ["another"])
    with pytest.raises(IntegrityError, match="unpacks to over"):
        for _ in archive.files(bomb):
            pass


def test_a_zip_bomb_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", *((str(n), bytes(10 << 20)) for n in range(10)))
    _refused(bomb, "unpacks to over")
    assert _files(tmp_path) == [bomb]


def test_an_archive_within_an_archive_stays_one_file(tmp_path: Path) -> None:
    inner = gzip_bomb(tmp_path / "inner.tgz", 200 << 20).read_bytes()
    outer = tar(tmp_path / "outer.tgz", (member("inner.tgz"), inner))
    archive.unpack(outer, tmp_path / "to")
    assert (tmp_path / "to/inner.tgz").read_bytes() == inner
    twice = tmp_path / "twice.tgz"
    twice.write_bytes(gzip.compress(outer.read_bytes()))
    _refused(twice, "no tar archive")


def test_a_huge_number_of_members_is_refused(tmp_path: Path) -> None:
    header = member("x").tobuf()
    file = tmp_path / "many.tgz"
    file.write_bytes(gzip.compress(header * 100_001))
    with pytest.raises(IntegrityError, match="over 100000 members"):
        archive.read_members(file, ["y"])


def test_a_size_that_is_not_true_is_refused(tmp_path: Path) -> None:
    data = bytearray(tar(tmp_path / "a", (member("x"), b"1234"), mode="w").read_bytes())
    data[124:136] = b"%011o\0" % (5 << 30)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "b").write_bytes(data)
    _refused(tmp_path / "b", "claims")


def test_a_file_of_one_archive_is_read_in_pieces(tmp_path: Path) -> None:
    file = tar(tmp_path / "a", (member("x"), bytes(1 << 20)))
    (found,) = [list(map(len, one.chunks())) for one in archive.files(file)]
    assert (sum(found), max(found) <= 1 << 18) == (1 << 20, True)
