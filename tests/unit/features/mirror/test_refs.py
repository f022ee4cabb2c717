"""Refs: the same ref is the same bytes, and nothing else is taken for one."""

from dataclasses import replace

import pytest

from pyodide_offline.errors import StorageError
from pyodide_offline.features.mirror import refs
from pyodide_offline.features.mirror.refs import Ref

REF = Ref("npm", "left-pad/-/left-pad-1.0.0.tgz", "ab" * 32, 5, "application/gzip", 1_700_000_000)


def test_what_is_written_is_read():
    full = replace(REF, integrity="sha512-x", etag='"e"', modified="Thu, 01 Jan 1970 00:00:00 GMT")
    for ref in (REF, full):
        assert refs.decode(ref.encode(), ref.kind, ref.name) == ref


def test_the_same_ref_is_the_same_bytes():
    assert REF.encode() == refs.decode(REF.encode(), REF.kind, REF.name).encode()
    assert b"etag" not in REF.encode()


def test_asked_again_never_goes_back():
    assert REF.asked_again(REF.fetched + 5).fetched == REF.fetched + 5
    assert REF.asked_again(REF.fetched - 5).fetched == REF.fetched


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 60_000,
        replace(REF, name="other").encode(),
        replace(REF, digest="AB" * 32).encode(),
        replace(REF, digest="../../etc/passwd").encode(),
        replace(REF, size=-1).encode(),
        REF.encode().replace(b'"size":5', b'"size":"5"'),
        REF.encode().replace(b"application/gzip", b"a" * 70_000),
        REF.encode().replace(b'"size":5', b'"size":5,"more":1'),
    ],
    ids=["empty", "list", "no-fields", "deep", "name", "case", "path", "size", "type", "long", "x"],
)
def test_anything_else_is_refused(data):
    with pytest.raises(StorageError, match="is no ref"):
        refs.decode(data, REF.kind, REF.name)
