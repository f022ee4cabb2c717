"""Whole files, whole folders, a full disk."""

import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from pyodide_offline import disk
from pyodide_offline.errors import StorageError


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / "a[1].json"
    ours = [folder / ".a[1].json.x1", folder / ".a[1].json.y2"]
    others = [target, folder / ".a1.json.x", folder / ".b.json.x", folder / "a[1].json.x"]
    for path in (*ours, *others):
        path.touch()
    os.utime(ours[0], (1, 1))
    (folder / ".a[1].json.tree" / "deeper").mkdir(parents=True)
    os.utime(folder / ".a[1].json.tree", (1, 1))
    disk.sweep(target, age=60)
    assert sorted(folder.iterdir()) == sorted([ours[1], *others])
    disk.sweep(target)
    assert sorted(folder.iterdir()) == sorted(others)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "new folder" / "file"
    disk.write_whole(target, b"old", mode=0o755)
    if os.name != "nt":
        assert stat.S_IMODE(target.stat().st_mode) == 0o755

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, "fsync", full)
    with pytest.raises(StorageError, match="is full"):
        disk.write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_of_storage(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError, match="is full"), disk.guarded(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_file_where_a_folder_must_be_is_an_error_of_storage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for below in ("file/a", "file/b/c", "x" * 300):
        with pytest.raises(StorageError, match="Cannot write"):
            disk.write_whole(tmp_path / below, b"")


def test_a_temporary_file_is_told_by_the_name_that_it_was_to_get(tmp_path: Path) -> None:
    temporary = str(tmp_path / ".report.txt.x1y2")
    with (
        pytest.raises(StorageError, match=r"/report\.txt: Perm"),
        disk.guarded(tmp_path / "report.txt"),
    ):
        raise PermissionError(errno.EACCES, "Perm", temporary)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_missing_rights_are_an_error_of_storage(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError, match="Cannot write"), disk.guarded(tmp_path):
        raise OSError(number, os.strerror(number))


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), disk.guarded(tmp_path):
        raise ConnectionResetError


def _tree(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("text")
    (folder / "link").symlink_to("sub/file")
    return folder


def test_a_folders_digest_changes_with_content_mode_link_and_name(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "tree")
    seen = {disk.tree_digest(folder)[0]}
    (folder / "sub" / "file").write_text("other")
    seen.add(disk.tree_digest(folder)[0])
    (folder / "sub" / "file").chmod(0o755)
    seen.add(disk.tree_digest(folder)[0])
    (folder / "link").unlink()
    (folder / "link").symlink_to("sub")
    seen.add(disk.tree_digest(folder)[0])
    (folder / "sub").rename(folder / "bus")
    seen.add(disk.tree_digest(folder)[0])
    assert len(seen) == 5


def test_byte_code_caches_do_not_count(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "tree")
    before = disk.tree_digest(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert disk.tree_digest(folder) == before


def test_read_only_folders_can_be_removed(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "tree")
    (folder / "sub").chmod(0o500)
    disk.remove_tree(folder)
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
@pytest.mark.parametrize(("owner", "is_foreign"), [(1000, False), (0, False), (1001, True)])
def test_files_of_others_are_foreign_and_those_of_root_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, is_foreign: bool
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    found = list(tmp_path.stat())
    found[stat.ST_UID] = owner
    assert disk.foreign(os.stat_result(found)) is is_foreign


def test_a_folder_that_an_orphan_still_writes_is_removed_once_it_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "left" / "node_modules"
    folder.mkdir(parents=True)
    monkeypatch.setattr(disk, "_WHILE_WRITTEN", (0.0, 0.0, 0.0))
    tries: list[Path] = []
    real = shutil.rmtree

    def removed(path: Path) -> None:
        tries.append(path)
        if len(tries) < 3:  # a file comes in between the last look and the end
            real(folder)
            folder.mkdir()
            (folder / f"{len(tries)}.js").touch()
            path.rmdir()
        real(path)

    monkeypatch.setattr(shutil, "rmtree", removed)
    disk.remove_tree(folder.parent)
    assert len(tries) == 3
    assert not folder.parent.exists()


def test_a_folder_that_is_written_without_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    monkeypatch.setattr(disk, "_WHILE_WRITTEN", (0.0, 0.0))

    def refused(path: Path) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(OSError, match="not empty"):
        disk.remove_tree(folder)


def test_two_that_remove_a_folder_at_once_both_end_well(tmp_path: Path) -> None:
    faults: list[OSError] = []

    def remove() -> None:
        try:
            disk.remove_tree(folder)
        except OSError as error:
            faults.append(error)

    for number in range(20):
        folder = tmp_path / str(number)
        for name in range(50):
            (folder / str(name) / "deeper").mkdir(parents=True)
        both = [threading.Thread(target=remove) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert not folder.exists()
    assert not faults
