"""Folders in a kit: the same bytes in, the same bytes out."""

import os
from pathlib import Path

import pytest

from pyodide_offline.errors import ProjectError, StorageError
from pyodide_offline.features.kit import trees

FILES = {
    "index.html": b"<p>\xc3\xa9",
    "a b/\u00e9.whl": b"PK",
    "a b/deep/er/x": b"",
    "z": b"0" * 5000,
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return written(tmp_path / "a site")


def written(folder: Path) -> Path:
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def placed(archives):
    return [one.item for one in archives], {one.item.sha256: one.path for one in archives}


def test_a_folder_comes_back_byte_for_byte(session, site, tmp_path):
    items, places = placed(trees.packed(session, [site]))
    assert trees.give_back(items, places, None, tmp_path / "new" / "place") == "a site"
    assert read(tmp_path / "new" / "place") == FILES
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["place"]


def test_the_same_files_are_the_same_archive(session, site, tmp_path):
    first = trees.packed(session, [site])
    again = written(tmp_path / "elsewhere" / "a site")
    os.utime(again / "z", (1, 1))
    (again / "z").chmod(0o600)
    assert trees.packed(session, [again]) == first


def test_of_several_one_is_named(session, site, tmp_path):
    items, places = placed(trees.packed(session, [site, written(tmp_path / "other")]))
    with pytest.raises(ProjectError, match="a site, other"):
        trees.give_back(items, places, None, tmp_path / "out")
    assert trees.give_back(items, places, "other", tmp_path / "out") == "other"


def test_a_kit_without_a_folder_says_so(tmp_path):
    with pytest.raises(ProjectError, match="no folder"):
        trees.give_back([], {}, None, tmp_path / "out")


def test_nothing_that_is_there_is_written_over(session, site, tmp_path):
    items, places = placed(trees.packed(session, [site]))
    with pytest.raises(StorageError, match="there already"):
        trees.give_back(items, places, None, site)
    (tmp_path / "empty").mkdir()
    trees.give_back(items, places, None, tmp_path / "empty")
    assert read(tmp_path / "empty") == FILES


def test_links_and_names_that_clash_are_refused(session, site, tmp_path):
    with pytest.raises(ProjectError, match="named A site"):
        trees.packed(session, [site, written(tmp_path / "x" / "A site")])
    (site / "link").symlink_to("index.html")
    with pytest.raises(ProjectError, match="no links"):
        trees.packed(session, [site])
