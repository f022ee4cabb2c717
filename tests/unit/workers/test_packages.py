"""Empty archives in the place of packages that workerd would download."""

import tarfile

import pytest

from pyodide_offline.workers import packages


def test_the_archives_are_empty_and_can_be_read(tmp_path):
    packages.fill_packages(tmp_path / "p", ["a.tar.gz", "b.tar.gz"])
    for name in ("a.tar.gz", "b.tar.gz"):
        with tarfile.open(tmp_path / "p" / name, "r:gz") as archive:
            assert archive.getnames() == []


@pytest.mark.parametrize("content", [b"", b"a broken download"])
def test_something_else_is_mended(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    packages.fill_packages(tmp_path, ["a.tar.gz"])
    assert (tmp_path / "a.tar.gz").read_bytes() == packages.empty_archive()


def test_the_same_bytes_each_time():
    first = packages.empty_archive()
    packages.empty_archive.cache_clear()
    assert packages.empty_archive() == first
