"""Where things are kept, and which folders are refused."""

import os
import stat
import tempfile
from pathlib import Path

import platformdirs
import pytest

from pyodide_offline import paths
from pyodide_offline.errors import StorageError

# Taken at import, before the conftest guards them: a test gets no real folder by accident.
_store_dir = paths.store_dir
_bundle_cache_dir = paths.bundle_cache_dir

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes and owners")


def test_the_store_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    assert _store_dir({}) == platformdirs.user_cache_path("pyodide-offline", appauthor=False)
    assert _store_dir({}).is_relative_to(tmp_path / "home")


@posix
def test_workerd_reads_from_tmp_by_default() -> None:
    assert _bundle_cache_dir({}) == Path("/tmp/pyodide-cache")


def test_on_windows_workerd_reads_from_the_users_own_temporary_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert _bundle_cache_dir({}) == Path(tempfile.gettempdir()) / "pyodide-cache"


def test_variables_name_other_folders_absolute_and_without_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.store_dir({paths.STORE_VARIABLE: "~/s p"}) == tmp_path / "home" / "s p"
    assert paths.bundle_cache_dir({paths.CACHE_VARIABLE: "here"}) == tmp_path / "here"


@pytest.mark.parametrize("function", ["store_dir", "bundle_cache_dir"])
def test_in_tests_the_real_folders_are_out_of_reach(function: str) -> None:
    with pytest.raises(AssertionError, match="real folder"):
        getattr(paths, function)({})


@posix
def test_a_new_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = paths.private_dir(tmp_path / "a" / "cache folder")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@posix
def test_a_folder_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    (folder / "file").write_text("kept")
    assert paths.private_dir(folder) == folder
    assert (folder / "file").read_text() == "kept"


@posix
def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = paths.private_dir(tmp_path / "cache")
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)  # as another user sees it
    with pytest.raises(StorageError, match=rf"another user \(uid {owner}\)"):
        paths.private_dir(folder)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702, 0o720])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StorageError, match=f"written by others .mode {mode:04o}"):
        paths.private_dir(folder)


@posix
def test_a_symbolic_link_is_refused_even_to_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(StorageError, match="symbolic link"):
        paths.private_dir(tmp_path / "link")


@posix
def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(StorageError, match="cannot be used"):
        paths.private_dir(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("inside", [".", "below"])
def test_a_file_in_its_place_is_refused(tmp_path: Path, inside: str) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="The cache folder") as caught:
        paths.private_dir(tmp_path / "cache" / inside)
    assert "--cache-dir" in caught.value.next_step
    assert (tmp_path / "cache").read_text() == "a file"
