"""Signed values and entries: what is written is read, and nothing else."""

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.mirror import entries
from pyodide_offline.features.mirror.entries import Link, Record
from pyodide_offline.kits import signing

KEY = signing.generate(b"k" * 32)
TRUSTED = {KEY.public.value: KEY.public}
RECORD = Record("npm", "a", {"1.0.0": "sha1-1"}, {"1.0.0": "sha1-0"})


def test_an_entry_is_read_as_it_was_written_and_by_its_link_only():
    data, link = entries.written(KEY, Link(4, "ab" * 32), [RECORD])
    entry = entries.read(data, link, TRUSTED)
    assert (entry.link, entry.previous) == (link, Link(4, "ab" * 32))
    assert (entry.records, entry.key) == ((RECORD,), KEY.public)
    with pytest.raises(IntegrityError, match="another digest"):
        entries.read(data + b" ", link, TRUSTED)
    with pytest.raises(IntegrityError, match="says that it is number 5"):
        entries.read(data, Link(6, link.sha256), TRUSTED)
    with pytest.raises(IntegrityError, match="not trusted here"):
        entries.read(data, link, {})


def test_a_head_is_read_as_it_was_written():
    link = Link(4, "ab" * 32)
    assert entries.pointed(entries.pointer(link)) == link


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"number": 1, "sha256": "ab"}', entries.pointer(Link(0, "ab" * 32))]
)
def test_what_is_no_head(data):
    with pytest.raises(IntegrityError):
        entries.pointed(data)


def test_one_kind_of_signed_value_does_not_stand_for_another():
    data = entries.sealed(KEY, "one kind", {"a": 1})
    trusted = {KEY.public.value: KEY.public}
    assert entries.opened(data, "one kind", trusted) == ({"a": 1}, KEY.public)
    with pytest.raises(IntegrityError, match="not its own"):
        entries.opened(data, "another", trusted)
    with pytest.raises(IntegrityError, match="cannot be read"):
        entries.opened(data[:-9], "one kind", trusted)
    with pytest.raises(IntegrityError, match="cannot be read"):
        entries.opened(b"[" * 100_000, "one kind", trusted)
