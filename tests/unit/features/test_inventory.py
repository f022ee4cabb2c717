"""What is stored, looked through."""

import os
import time
from dataclasses import replace

from pyodide_offline.features import inventory
from pyodide_offline.store import Store
from pyodide_offline.workers import supply


def fill(session, name, content=b"content", kind=supply.KIND):
    def produce(target):
        target.write_bytes(content)
        return {"source": "npm"}

    return session.store.fill(kind, name, produce)


def tree(session):
    def produce(folder):
        (folder / "bin").mkdir()
        (folder / "bin" / "node").write_text("node")
        return {"source": "PyPI"}

    return session.store.fill_tree("node", "24", produce)


def damage(path):
    path.chmod(0o600)
    path.write_bytes(b"damaged")


def test_all_is_well_in_a_fresh_store(session):
    fill(session, "a")
    tree(session)
    assert [(one.kind, one.name) for one in inventory.listed(session)] == [
        ("bundle", "a"),
        ("node", "24"),
    ]
    assert inventory.verify(session) == []


def test_damaged_content_is_found_and_with_repair_removed(session):
    entry = fill(session, "a")
    damage(entry.path)
    found = inventory.verify(session)
    assert [(one.what, one.mended) for one in found] == [("bundle a", False)]
    assert inventory.verify(session, repair=True)[0].mended
    assert session.store.find("bundle", "a") is None
    assert inventory.verify(session) == []


def test_missing_content_is_found(session):
    fill(session, "a").path.unlink()
    assert "missing" in inventory.verify(session)[0].reason


def test_a_changed_file_in_a_folder_is_found(session):
    entry = tree(session)
    (entry.path / "bin" / "node").write_text("evil")
    assert inventory.verify(session)[0].what == "node 24"


def test_a_damaged_copy_in_the_cache_folder_is_found_and_removed(session):
    entry = fill(session, "a")
    copy = session.cache_dir / f"dev-{entry.digest.short}" / "pyodide_dev.capnp.bin"
    session.store.place(entry, copy)
    assert inventory.verify(session) == []
    damage(copy)
    assert inventory.verify(session, repair=True)[0].path == copy
    assert not copy.exists()


def test_a_whole_bundle_of_another_store_is_left_alone(session, tmp_path):
    other = replace(session, store=Store(tmp_path / "other"))
    entry = fill(other, "a")
    copy = session.cache_dir / f"dev-{entry.digest.short}" / "pyodide_dev.capnp.bin"
    other.store.place(entry, copy)
    assert inventory.verify(session, repair=True) == []
    damage(copy)
    assert [one.path for one in inventory.verify(session)] == [copy]


def test_a_bundle_brought_by_hand_is_left_alone(session):
    session.cache_dir.mkdir()
    mine = session.cache_dir / "pyodide_0.26.0a2_2024-03-01_91.capnp.bin"
    mine.write_bytes(b"of another workerd")
    assert inventory.verify(session, repair=True) == []
    assert mine.exists()


def test_prune_removes_what_was_not_used_for_long(session):
    old, new = fill(session, "old", b"old"), fill(session, "new", b"new")
    long_ago = time.time() - 90 * 86400
    os.utime(old.path, (long_ago, long_ago))
    pruned = inventory.prune(session)
    assert [one.name for one in pruned.entries] == ["old"]
    assert pruned.freed >= 3
    assert new.path.exists()
    assert not old.path.exists()


def test_prune_all_leaves_nothing(session):
    entry = fill(session, "a")
    tree(session)
    session.store.place(entry, session.cache_dir / "pyodide_x.capnp.bin")
    inventory.prune(session, everything=True)
    assert inventory.listed(session) == []
    assert list(session.cache_dir.iterdir()) == []


def test_one_content_under_two_names_counts_once(session):
    entries = [fill(session, "a"), fill(session, "b")]
    assert inventory.size(entries) == len(b"content")


def test_folders_that_are_no_entries_are_counted_and_go_with_prune_all(session):
    fill(session, "a")
    kept = session.store.root / "v1" / "uv-cache" / "wheels" / "x.whl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"12345")
    (session.store.root / "v1" / "bin").mkdir()
    folders = inventory.working_folders(session)
    assert {path.name: taken for path, taken in folders.items()} == {"uv-cache": 5, "bin": 0}
    inventory.prune(session)
    assert kept.exists()
    freed = inventory.prune(session, everything=True).freed
    assert freed >= 5 + len(b"content")
    assert inventory.working_folders(session) == {}
