"""The store: filling, finding, damage, placing, sweeping, memos."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline import store as stores
from pyodide_offline.errors import IntegrityError
from pyodide_offline.store import Entry, Store
from tests.peers.contents import CONTENT, DIGEST, damage, files, never, tree, write

# -- filling and finding ---------------------------------------------------------------


def test_what_was_filled_is_found_with_digest_size_and_provenance(store: Store) -> None:
    assert store.find("kind", "name") is None
    made = store.fill("kind", "name", write(source="npm"))
    found = store.find("kind", "name")
    assert found == made
    assert (made.digest, made.size, made.provenance) == (DIGEST, len(CONTENT), {"source": "npm"})
    assert made.path.read_bytes() == CONTENT
    assert store.fill("kind", "name", never) == made
    assert store.made == [made]


def test_names_may_hold_any_character(store: Store) -> None:
    names = ["@scope/name@1.0.0", "a b", "ü", "100%", "x~1", "[glob]*?", "sha256:ab"]
    for name in names:
        store.fill("a kind/of", name, write(name.encode()))
    assert sorted(one.name for one in store.entries()) == sorted(names)
    for name in names:
        found = store.find("a kind/of", name)
        assert found
        assert found.path.read_bytes() == name.encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_content_is_read_only_and_the_folder_is_marked_as_a_cache(store: Store) -> None:
    made = store.fill("kind", "name", write())
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o444
    tag = (store.root / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_equal_contents_are_kept_once(store: Store) -> None:
    one, two = (store.fill("kind", name, write()) for name in ("one", "two"))
    assert one.path == two.path
    store.remove(one)
    assert store.find("kind", "one") is None
    assert store.find("kind", "two") == two
    store.remove(two)
    assert not two.path.exists()


def test_a_content_that_is_not_the_expected_one_leaves_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError) as caught:
        store.fill("kind", "name", write(b"other"), expected=DIGEST)
    assert DIGEST.sri in caught.value.why
    assert digests.of_bytes(b"other").sri in caught.value.why
    assert files(store) == ["CACHEDIR.TAG"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_a_failure_while_filling_leaves_nothing(store: Store, error: BaseException) -> None:
    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        store.fill("kind", "name", produce)
    with pytest.raises(type(error)):
        store.fill_tree("kind", "tree", lambda folder: produce(folder / "file"))
    assert files(store) == ["CACHEDIR.TAG"]
    assert store.fill("kind", "name", write()).digest == DIGEST


def test_a_folder_is_kept_with_modes_and_links(store: Store) -> None:
    made = store.fill_tree("kind", "a tree", tree)
    assert store.find("kind", "a tree") == made
    assert made.is_tree
    assert os.access(made.path / "bin" / "tool", os.X_OK)
    assert (made.path / "link").readlink() == Path("bin/tool")
    assert store.intact(made)


def test_byte_code_that_running_leaves_behind_is_no_damage(store: Store) -> None:
    made = store.fill_tree("kind", "tree", tree)
    (made.path / "bin" / "__pycache__").mkdir()
    (made.path / "bin" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert store.intact(made)


@pytest.mark.parametrize("change", ["content", "mode", "link", "added", "removed"])
def test_any_change_in_a_folder_is_damage_that_filling_again_repairs(
    store: Store, change: str
) -> None:
    made = store.fill_tree("kind", "tree", tree)
    tool, link = made.path / "bin" / "tool", made.path / "link"
    if change == "content":
        tool.write_text("#!/bin/s\n")
    elif change == "mode":
        tool.chmod(0o644)
    elif change == "link":
        link.unlink()
        link.symlink_to("elsewhere")
    elif change == "added":
        (made.path / "new").write_text("")
    else:
        tool.unlink()
    assert not store.intact(made)
    again = store.fill_tree("kind", "tree", tree, replace=True)
    assert again.digest == made.digest
    assert store.intact(again)


def test_a_folder_with_read_only_parts_can_be_removed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    outside.chmod(0o400)
    made = store.fill_tree("kind", "tree", tree)
    (made.path / "out").symlink_to(outside)
    (made.path / "bin" / "tool").chmod(0o400)
    (made.path / "bin").chmod(0o500)
    store.remove(made)
    assert not made.path.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o400


# -- damage ------------------------------------------------------------------------------

DAMAGE = {
    "truncated": CONTENT[:-1],
    "empty": b"",
    "random": bytes(reversed(CONTENT)),
    "longer": CONTENT + b"!",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_content_is_noticed_and_made_again(store: Store, kind: str) -> None:
    made = store.fill("kind", "name", write())
    assert store.intact(made)
    assert store.fill("kind", "name", never, replace=True) == made
    damage(made.path, DAMAGE[kind])
    assert not store.intact(made)
    again = store.fill("kind", "name", write(), replace=True)
    assert again.path.read_bytes() == CONTENT
    assert store.intact(again)


def test_a_content_that_was_read_is_not_read_again_until_it_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.fill("kind", "name", write())
    assert store.intact(made)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_file", None)
        assert store.intact(made)
    before = made.path.stat()
    damage(made.path, DAMAGE["random"])
    os.utime(made.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not store.intact(made)


@pytest.mark.parametrize("kind", ["truncated", "empty", "longer"])
def test_a_content_of_another_size_counts_as_missing_without_being_read(
    store: Store, kind: str
) -> None:
    made = store.fill("kind", "name", write())
    damage(made.path, DAMAGE[kind])
    assert store.find("kind", "name") is None
    assert store.fill("kind", "name", write()).path.read_bytes() == CONTENT


def test_a_content_that_is_gone_counts_as_missing(store: Store) -> None:
    made = store.fill("kind", "name", write())
    made.path.unlink()
    assert store.find("kind", "name") is None
    assert not store.intact(made)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"digest": "x", "size": 1, "tree": false, "provenance": {}}',
        b'{"digest": 5, "size": 1, "tree": false, "provenance": {}}',
        json.dumps({"digest": str(DIGEST), "size": None, "tree": False, "provenance": {}}).encode(),
    ],
)
def test_a_damaged_record_counts_as_missing_and_is_made_again(store: Store, record: bytes) -> None:
    store.fill("kind", "name", write())
    (ref,) = (store.root / stores.LAYOUT / "refs").glob("*/*.json")
    ref.write_bytes(record)
    assert store.find("kind", "name") is None
    assert store.entries() == []
    assert store.fill("kind", "name", write()).digest == DIGEST
    assert store.find("kind", "name") is not None


# -- placing -----------------------------------------------------------------------------


@pytest.fixture
def entry(store: Store) -> Entry:
    return store.fill("kind", "name", write())


def test_a_file_is_placed_once(store: Store, entry: Entry, tmp_path: Path) -> None:
    target = tmp_path / "cache folder" / "a b.bin"
    assert store.place(entry, target) is True
    assert target.read_bytes() == CONTENT
    before = target.stat()
    assert store.place(entry, target) is False
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_target_is_healed_and_the_store_stays_whole(
    store: Store, entry: Entry, tmp_path: Path, damage: str
) -> None:
    target = tmp_path / "x.bin"
    store.place(entry, target)
    target.write_bytes(DAMAGE[damage])
    assert store.intact(entry)
    assert store.place(entry, target) is True
    assert target.read_bytes() == CONTENT


def test_what_stands_in_the_place_is_replaced_and_links_are_not_followed(
    store: Store, entry: Entry, tmp_path: Path
) -> None:
    folder, link, outside = (tmp_path / name for name in ("folder", "link", "outside"))
    (folder / "sub").mkdir(parents=True)
    outside.write_bytes(CONTENT)  # even the right bytes: the link can be turned later
    link.symlink_to(outside)
    for target in (folder, link):
        assert store.place(entry, target) is True
        assert target.read_bytes() == CONTENT
        assert not target.is_symlink()
    outside.write_bytes(b"changed")
    assert link.read_bytes() == CONTENT


def test_a_damaged_store_is_never_placed(store: Store, entry: Entry, tmp_path: Path) -> None:
    damage(entry.path, DAMAGE["random"])
    with pytest.raises(IntegrityError, match="in the store is damaged") as caught:
        store.place(entry, tmp_path / "cache" / "x.bin")
    assert "cache verify --repair" in caught.value.next_step
    assert list((tmp_path / "cache").iterdir()) == []


# -- sweeping ----------------------------------------------------------------------------


def test_a_sweep_removes_what_no_name_points_to_and_counts_it(store: Store, entry: Entry) -> None:
    base = store.root / stores.LAYOUT
    blob = base / "blobs" / "sha256" / "00" / ("00" * 32)
    blob.parent.mkdir()
    blob.write_bytes(bytes(100))
    (base / "trees" / "kind" / "orphan").mkdir(parents=True)
    (base / "trees" / "kind" / "orphan" / "file").write_bytes(bytes(20))
    (base / "tmp" / "kind-dead~1").write_bytes(bytes(3))
    made = store.fill_tree("kind", "tree", tree)
    assert store.sweep() == 123
    assert store.sweep() == 0
    assert store.intact(entry)
    assert store.intact(made)


def test_a_sweep_of_no_store_does_nothing(store: Store) -> None:
    assert store.sweep() == 0
    assert not store.root.exists()


def test_a_sweep_keeps_what_is_being_filled(store: Store) -> None:
    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(CONTENT)
        assert Store(store.root).sweep() == 0
        assert target.read_bytes() == CONTENT
        return {}

    assert store.intact(store.fill("kind", "name", produce))


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_sweep_waits_for_a_content_that_has_no_name_yet(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The content is in place a moment before its name is: the sweep must not come between."""
    sweeping = threading.Event()
    sweeper = threading.Thread(target=lambda: Store(store.root).sweep())
    publish = Store._publish_ref

    def between(self: Store, entry: Entry) -> Entry:
        monkeypatch.setattr(Store, "_lock", announced)
        sweeper.start()
        assert sweeping.wait(30)
        return publish(self, entry)

    lock = Store._lock

    def announced(self: Store, label: str, *, wait: bool = True) -> object:
        sweeping.set()
        return lock(self, label, wait=wait)

    monkeypatch.setattr(Store, "_publish_ref", between)
    if kind == "file":
        made = store.fill("kind", "name", write())
    else:
        made = store.fill_tree("kind", "name", tree)
    sweeper.join()
    assert store.intact(made)


# -- memos -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, "text", ["a", {"b": None}], False])
def test_an_answer_is_remembered(store: Store, value: object) -> None:
    store.remember("probe", "a key/with: odd", value)
    assert store.memo("probe", "a key/with: odd") == value


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff"])
def test_a_damaged_answer_counts_as_none(store: Store, damage: bytes) -> None:
    store.remember("probe", "key", {"a": 1})
    (memo,) = (store.root / stores.LAYOUT / "memos").glob("*/*.json")
    memo.write_bytes(damage)
    assert store.memo("probe", "key") is None
