"""Refs on this front's own disk: of one store, bounded, and never an error."""

from dataclasses import replace

import pytest

from pyodide_offline.features.mirror.notebook import Notebook
from pyodide_offline.features.mirror.refs import Ref

REF = Ref("npm", "a", "ab" * 32, 5, "text/plain", 100)
URL = "s3://bucket/mirror?endpoint=http://one"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "names.db"


def noted(path, *refs, url=URL, **how):
    book = Notebook(path, url, **how)
    book.begin("s3 bucket")
    for ref in refs:
        book.note(ref)
    book.close()


def test_what_was_noted_is_known_after_a_restart(path):
    later = replace(REF, digest="cd" * 32)
    noted(path, REF, later, replace(REF, kind="pypi"))
    book = Notebook(path, URL)
    assert (book.label, len(book)) == ("s3 bucket", 2)
    assert book.find("npm", "a") == later
    assert book.find("npm", "b") is None
    book.close()


def test_another_stores_are_dropped(path):
    noted(path, REF)
    book = Notebook(path, URL.replace("one", "two"))
    assert (book.label, len(book), book.find("npm", "a")) == ("", 0, None)
    book.close()


def test_the_oldest_go(path):
    noted(path, *(replace(REF, name=name) for name in "abcab"), most=2)
    book = Notebook(path, URL)
    assert [book.find("npm", name) is not None for name in "abc"] == [True, True, False]
    book.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 500])
def test_a_file_that_is_damaged_is_begun_anew(path, damage):
    noted(path, REF)
    path.write_bytes(damage)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert Notebook(path, URL).find("npm", "a") is None
    noted(path, REF)
    book = Notebook(path, URL)
    assert book.find("npm", "a") == REF
    book.close()


def test_a_value_that_is_another_names_is_none(path):
    noted(path, REF)
    book = Notebook(path, URL)
    book._write("UPDATE refs SET value = ?", replace(REF, name="other").encode())
    assert book.find("npm", "a") is None
    book._write("UPDATE refs SET value = 5")
    assert book.find("npm", "a") is None
    book.close()


def test_without_a_disk_nothing_is_known(tmp_path):
    (tmp_path / "file").write_text("")
    noted(tmp_path / "file" / "names.db", REF)
    book = Notebook(tmp_path / "file" / "names.db", URL)
    assert (book.label, len(book), book.find("npm", "a")) == ("", 0, None)
    book.close()


def test_two_processes_of_one_cache(path):
    one, two = Notebook(path, URL), Notebook(path, URL)
    one.begin("s3 bucket")
    one.note(REF)
    two.note(replace(REF, name="b"))
    assert (len(one), two.find("npm", "a")) == (2, REF)
    one.close()
    two.close()
    one.note(REF)  # after its end: nothing
