"""A snapshot out of a kit: where a start looks for it, or nowhere."""

import hashlib
import json
import zlib

import pytest

from pyodide_offline.features.kit import memory
from pyodide_offline.kits.manifest import Item

KEY = f"packages-{'0' * 64}"
HEAD = json.dumps({"settings": {"snapshotType": "dedicated"}}).encode()
CONTENT = b"\0snp" + bytes(8) + len(HEAD).to_bytes(4, "little") + HEAD + bytes(10_000)


@pytest.fixture
def unpack(session, tmp_path):
    def bring(data, name=KEY, kind=memory.KIND, then=None):
        path = tmp_path / "blob"
        path.write_bytes(data)
        item = Item(kind, name, "", "x.zz", len(data), hashlib.sha256(data).hexdigest())
        path.write_bytes(data if then is None else then)
        memory.unpack(session, [item], {item.sha256: path})
        return session.store.find("snapshot", name)

    return bring


def test_it_is_found_by_its_key(session, unpack):
    entry = unpack(zlib.compress(CONTENT))
    assert entry.path.read_bytes() == CONTENT
    assert session.store.intact(entry)
    assert entry.provenance["tier"] == "packages"


def test_one_that_is_there_stays(session, unpack):
    def produce(target):
        target.write_bytes(b"made here")
        return {}

    session.store.fill("snapshot", KEY, produce)
    assert unpack(zlib.compress(CONTENT)).path.read_bytes() == b"made here"


@pytest.mark.parametrize(
    "data",
    [
        b"no zlib",
        zlib.compress(CONTENT)[:-5],
        zlib.compress(CONTENT) + b"more",
        zlib.compress(b"no snapshot"),
        b"",
    ],
    ids=["form", "short", "long", "content", "empty"],
)
def test_what_is_no_whole_snapshot_is_passed_over(session, unpack, data):
    assert unpack(data) is None
    assert not list((session.store.root / "v1" / "tmp").iterdir())


def test_bytes_that_changed_since_are_passed_over(unpack):
    assert unpack(zlib.compress(CONTENT), then=zlib.compress(CONTENT + b"x")) is None


def test_one_that_grows_beyond_every_bound_is_passed_over(unpack, monkeypatch):
    monkeypatch.setattr(memory, "_LIMIT", len(CONTENT) - 1)
    assert unpack(zlib.compress(CONTENT)) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plan", memory.KIND),
        (f"own-{'0' * 64}", memory.KIND),
        (f"{KEY}/../x", memory.KIND),
        (KEY, "npm"),
    ],
)
def test_no_other_item_is_taken_for_one(session, unpack, name, kind):
    unpack(zlib.compress(CONTENT), name, kind)
    assert session.store.entries() == []


def test_what_the_kit_leaves_to_its_base_may_be_missing(session):
    item = Item(memory.KIND, KEY, "", "x.zz", 1, "0" * 64)
    memory.unpack(session, [item], {})
    assert session.store.entries() == []
