"""Archives of others, friendly and not."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from pyodide_offline import archive
from pyodide_offline.errors import IntegrityError
from tests.peers.registry import pack


@pytest.fixture(params=["tarfile's filter", "our own"], autouse=True)
def _filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the filter of PEP 706 and as on a Python that has none."""
    if request.param == "our own":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        if trusted := getattr(tarfile, "fully_trusted_filter", None):
            monkeypatch.setattr(tarfile.TarFile, "extraction_filter", staticmethod(trusted))


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_the_named_files_come_back_whole_and_missing_ones_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "a b.tgz"
    file.write_bytes(pack({"package/one": b"1" * 100_000, "package/two": b"", "other": b"x"}))
    found = archive.read_members(file, ["package/one", "package/two", "package/three"])
    assert found == {"package/one": b"1" * 100_000, "package/two": b""}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_read(tmp_path: Path, mode: str) -> None:
    file = _tar(tmp_path / "a", (_member("x"), b"content"), mode=mode)
    assert archive.read_members(file, ["x"]) == {"x": b"content"}


def test_links_under_a_wanted_name_are_not_followed(tmp_path: Path) -> None:
    link = _member("x", tarfile.SYMTYPE, "/etc/passwd")
    assert archive.read_members(_tar(tmp_path / "a", (link, b"")), ["x"]) == {}


def test_a_member_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LIMIT", 10)
    file = _tar(tmp_path / "a", (_member("x"), b"eleven byte"), (_member("y"), b"ten bytes!"))
    assert archive.read_members(file, ["y"]) == {"y": b"ten bytes!"}
    with pytest.raises(IntegrityError, match="x in a is over"):
        archive.read_members(file, ["x"])


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
    file = _tar(tmp_path / "a.tgz", (_member("x"), words * 20), mode=mode)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    file.write_bytes(data)
    _refused(file)


def _refused(file: Path) -> None:
    with pytest.raises(IntegrityError, match=r"a\.tgz cannot be read"):
        archive.read_members(file, ["x"])
    folder = file.with_name("to")
    folder.mkdir()
    with pytest.raises(IntegrityError, match=r"a\.tgz cannot be unpacked"):
        archive.unpack(file, folder)


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("a file in its place")
    with pytest.raises(NotADirectoryError):
        archive.unpack(_tar(tmp_path / "a", (_member("x/y"), b"")), tmp_path / "to")


def test_a_folder_is_unpacked_with_its_links_inside(tmp_path: Path) -> None:
    file = _tar(
        tmp_path / "a",
        (_member("bin/node"), b"node"),
        (_member("bin/npm", tarfile.SYMTYPE, "../lib/npm.js"), b""),
    )
    archive.unpack(file, tmp_path / "to")
    assert (tmp_path / "to/bin/node").read_bytes() == b"node"
    assert (tmp_path / "to/bin/npm").readlink() == Path("../lib/npm.js")


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside"),
        _member("a/../../outside"),
        _member("link", tarfile.SYMTYPE, "../../outside"),
        _member("link", tarfile.LNKTYPE, "../outside"),
        _member("pipe", tarfile.FIFOTYPE),
    ],
    ids=["parent", "parent inside", "symlink", "hard link", "pipe"],
)
def test_nothing_lands_outside_and_nothing_odd_inside(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    folder = tmp_path / "parent" / "to"
    folder.mkdir(parents=True)
    file = _tar(tmp_path / "a", (member, b""))
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        archive.unpack(file, folder)
    assert list(folder.iterdir()) == []
    assert list(folder.parent.iterdir()) == [folder]


def test_a_link_out_of_the_folder_cannot_be_walked_through(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "to"
    folder.mkdir(parents=True)
    file = _tar(
        tmp_path / "a",
        (_member("sub/up", tarfile.SYMTYPE, ".."), b""),
        (_member("sub/up/up", tarfile.SYMTYPE, ".."), b""),
        (_member("sub/up/up/outside"), b"x"),
    )
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        archive.unpack(file, folder)
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_programs_stay_programs_and_nobody_else_may_write(tmp_path: Path) -> None:
    program, text, hard = (
        _member("bin/x"),
        _member("text"),
        _member("hard", tarfile.LNKTYPE, "text"),
    )
    program.mode, text.mode, hard.mode = 0o6777, 0o666, 0o666
    program.uid = program.gid = 12345
    archive.unpack(
        _tar(tmp_path / "a", (program, b"#!"), (text, b"t"), (hard, b"")), tmp_path / "to"
    )
    modes = {name: (tmp_path / "to" / name).stat().st_mode & 0o7777 for name in ("bin/x", "text")}
    assert modes == {"bin/x": 0o755, "text": 0o644}
    assert (tmp_path / "to/bin/x").stat().st_uid == os.getuid()
    assert (tmp_path / "to/hard").read_bytes() == b"t"


def test_an_absolute_name_is_kept_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    archive.unpack(_tar(tmp_path / "a", (_member(str(outside)), b"x")), tmp_path / "to")
    assert not outside.exists()
    assert (tmp_path / "to" / outside.relative_to("/")).read_bytes() == b"x"
