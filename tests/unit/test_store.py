"""The store under the troubles that it is made for: two at once, kill -9, a full disk, damage."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline import store as stores
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.store import Entry, Store

CONTENT = bytes(range(256)) * 64
DIGEST = digests.of_bytes(CONTENT)


def _write(content: bytes = CONTENT, **provenance: str) -> Callable[[Path], dict[str, str]]:
    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(content)
        return provenance

    return produce


def _never(_: Path) -> dict[str, str]:
    raise AssertionError("made again although it is there")


def _tree(folder: Path) -> dict[str, str]:
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text("#!/bin/sh\n")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "link").symlink_to("bin/tool")
    return {"from": "here"}


def _files(store: Store) -> list[str]:
    """All files of the store but locks, relative."""
    found = (p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file())
    return sorted(path for path in found if "/locks/" not in path)


def _damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def _child(store: Store, body: str) -> "subprocess.Popen[str]":
    """A process that fills kind/name of the store with ``produce`` as given."""
    code = (
        "import os, sys, pathlib\n"
        "from pyodide_offline.store import Store\n"
        f"store = Store(pathlib.Path({str(store.root)!r}))\n"
        f"{body}\n"
        "print(store.fill('kind', 'name', produce).digest.hex, flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout
    return child.stdout.readline().strip()


# -- filling and finding ---------------------------------------------------------------


def test_what_was_filled_is_found_with_digest_size_and_provenance(store: Store) -> None:
    assert store.find("kind", "name") is None
    made = store.fill("kind", "name", _write(source="npm"))
    found = store.find("kind", "name")
    assert found == made
    assert (made.digest, made.size, made.provenance) == (DIGEST, len(CONTENT), {"source": "npm"})
    assert made.path.read_bytes() == CONTENT
    assert store.fill("kind", "name", _never) == made
    assert store.made == [made]


def test_names_may_hold_any_character(store: Store) -> None:
    names = ["@scope/name@1.0.0", "a b", "ü", "100%", "x~1", "[glob]*?", "sha256:ab"]
    for name in names:
        store.fill("a kind/of", name, _write(name.encode()))
    assert sorted(one.name for one in store.entries()) == sorted(names)
    for name in names:
        found = store.find("a kind/of", name)
        assert found
        assert found.path.read_bytes() == name.encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_content_is_read_only_and_the_folder_is_marked_as_a_cache(store: Store) -> None:
    made = store.fill("kind", "name", _write())
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o444
    tag = (store.root / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_equal_contents_are_kept_once(store: Store) -> None:
    one, two = (store.fill("kind", name, _write()) for name in ("one", "two"))
    assert one.path == two.path
    store.remove(one)
    assert store.find("kind", "one") is None
    assert store.find("kind", "two") == two
    store.remove(two)
    assert not two.path.exists()


def test_a_content_that_is_not_the_expected_one_leaves_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError) as caught:
        store.fill("kind", "name", _write(b"other"), expected=DIGEST)
    assert DIGEST.sri in caught.value.why
    assert digests.of_bytes(b"other").sri in caught.value.why
    assert _files(store) == ["CACHEDIR.TAG"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_a_failure_while_filling_leaves_nothing(store: Store, error: BaseException) -> None:
    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        store.fill("kind", "name", produce)
    with pytest.raises(type(error)):
        store.fill_tree("kind", "tree", lambda folder: produce(folder / "file"))
    assert _files(store) == ["CACHEDIR.TAG"]
    assert store.fill("kind", "name", _write()).digest == DIGEST


def test_a_folder_is_kept_with_modes_and_links(store: Store) -> None:
    made = store.fill_tree("kind", "a tree", _tree)
    assert store.find("kind", "a tree") == made
    assert made.is_tree
    assert os.access(made.path / "bin" / "tool", os.X_OK)
    assert (made.path / "link").readlink() == Path("bin/tool")
    assert store.intact(made)


def test_byte_code_that_running_leaves_behind_is_no_damage(store: Store) -> None:
    made = store.fill_tree("kind", "tree", _tree)
    (made.path / "bin" / "__pycache__").mkdir()
    (made.path / "bin" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert store.intact(made)


@pytest.mark.parametrize("change", ["content", "mode", "link", "added", "removed"])
def test_any_change_in_a_folder_is_damage_that_filling_again_repairs(
    store: Store, change: str
) -> None:
    made = store.fill_tree("kind", "tree", _tree)
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
    again = store.fill_tree("kind", "tree", _tree, replace=True)
    assert again.digest == made.digest
    assert store.intact(again)


def test_a_folder_with_read_only_parts_can_be_removed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    outside.chmod(0o400)
    made = store.fill_tree("kind", "tree", _tree)
    (made.path / "out").symlink_to(outside)
    (made.path / "bin" / "tool").chmod(0o400)
    (made.path / "bin").chmod(0o500)
    store.remove(made)
    assert not made.path.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o400


# -- two at once, kill -9 ----------------------------------------------------------------


def test_two_processes_that_fill_one_name_produce_it_once(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    produce = f"""
def produce(target):
    with open({str(log)!r}, 'a') as log: log.write('made ')
    print('producing', flush=True)
    sys.stdin.readline()
    target.write_bytes(b'content')
    return {{}}
"""
    first = _child(store, produce)
    assert _line(first) == "producing"
    told = (
        "import filelock\n"
        "acquire = filelock.FileLock.acquire\n"
        "def waiting(self, *a, **k):\n"
        "    print('waiting', flush=True)\n"
        "    return acquire(self, *a, **k)\n"
        "filelock.FileLock.acquire = waiting\n"
    )
    second = _child(store, told + produce)
    assert _line(second) == "waiting"
    outputs = [child.communicate("go\n") for child in (first, second)]
    digest = digests.of_bytes(b"content").hex
    assert [digest in out for out, _ in outputs] == [True, True]
    assert [first.returncode, second.returncode] == [0, 0]
    assert log.read_text() == "made "


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_after_kill_9_the_next_one_finishes_and_clears_up(store: Store) -> None:
    produce = """
def produce(target):
    target.write_bytes(b'half')
    print('half', flush=True)
    sys.stdin.readline()
"""
    child = _child(store, produce)
    assert _line(child) == "half"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    leftovers = [path for path in _files(store) if "/tmp/" in path]
    assert len(leftovers) == 1
    assert store.find("kind", "name") is None
    assert store.fill("kind", "name", _write()).digest == DIGEST
    assert [path for path in _files(store) if "/tmp/" in path] == []


# -- a full disk, a read-only one --------------------------------------------------------

_FULL = """
import pathlib, sys
from pyodide_offline.errors import StorageError
from pyodide_offline.store import Store
store = Store(pathlib.Path(sys.argv[1]) / "s")
def produce(target):
    target.write_bytes(bytes(4 << 20))
    return {}
def tree(folder):
    return produce(folder / "file")
source = store.fill("small", "x", lambda target: target.write_bytes(bytes(400 << 10)) and {})
before = sorted(map(str, store.root.rglob("*")))
for fill in (lambda: store.fill("kind", "name", produce), lambda: store.fill_tree("k", "t", tree)):
    try:
        fill()
    except StorageError as error:
        assert "is full" in error.what and "prune" in error.next_step, error
    else:
        sys.exit("no error")
target = pathlib.Path(sys.argv[1]) / "cache" / "x.bin"
for n in range(9):
    try:
        store.place(source, target.with_name(f"x{n}.bin"))
    except StorageError as error:
        assert "is full" in error.what, error
        break
else:
    sys.exit("no error from place")
assert all(path.stat().st_size == 400 << 10 for path in target.parent.iterdir())
after = [path for path in sorted(map(str, store.root.rglob("*"))) if ".lock" not in path]
assert after == [path for path in before if ".lock" not in path], after
"""


def _may_mount() -> bool:
    """Root without CAP_SETFCAP, as in the runner's namespace, may not map itself again."""
    if sys.platform != "linux":
        return False
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="no tmpfs here: see also tests/e2e/test_hardship.py")
def test_a_full_disk_is_a_storage_error_with_nothing_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = 'mount -t tmpfs -o size=2m,mode=0700 tmpfs "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", inside, "sh", str(disk), sys.executable, _FULL],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("moment", ["writing", "fsync", "naming"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_at_any_moment_is_a_storage_error_with_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(b"half")
        if moment == "writing":
            full()
        return {}

    with monkeypatch.context() as patch:
        if moment == "fsync":
            patch.setattr(disk, "fsync", full)
        elif moment == "naming":
            patch.setattr(Store, "_publish_bytes", full)
        with pytest.raises(StorageError, match="is full") as caught:
            store.fill("kind", "name", produce)
    assert "cache prune" in caught.value.next_step
    assert store.find("kind", "name") is None
    store.sweep()
    assert _files(store) == ["CACHEDIR.TAG"]
    assert store.fill("kind", "name", _write()).digest == DIGEST


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_store_that_cannot_be_written_says_so_and_can_still_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made = store.fill("kind", "name", _write())

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere, so no chmod here
    with pytest.raises(StorageError, match="Cannot write") as caught:
        store.fill("kind", "other", _write())
    assert "PYODIDE_OFFLINE_STORE_DIR" in caught.value.next_step
    assert store.fill("kind", "name", _never) == made
    store.remember("memo", "key", 1)  # forgets it without a word
    assert store.memo("memo", "key") is None


# -- damage ------------------------------------------------------------------------------

DAMAGE = {
    "truncated": CONTENT[:-1],
    "empty": b"",
    "random": bytes(reversed(CONTENT)),
    "longer": CONTENT + b"!",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_content_is_noticed_and_made_again(store: Store, damage: str) -> None:
    made = store.fill("kind", "name", _write())
    assert store.intact(made)
    assert store.fill("kind", "name", _never, replace=True) == made
    _damage(made.path, DAMAGE[damage])
    assert not store.intact(made)
    again = store.fill("kind", "name", _write(), replace=True)
    assert again.path.read_bytes() == CONTENT
    assert store.intact(again)


@pytest.mark.parametrize("damage", ["truncated", "empty", "longer"])
def test_a_content_of_another_size_counts_as_missing_without_being_read(
    store: Store, damage: str
) -> None:
    made = store.fill("kind", "name", _write())
    _damage(made.path, DAMAGE[damage])
    assert store.find("kind", "name") is None
    assert store.fill("kind", "name", _write()).path.read_bytes() == CONTENT


def test_a_content_that_is_gone_counts_as_missing(store: Store) -> None:
    made = store.fill("kind", "name", _write())
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
    store.fill("kind", "name", _write())
    (ref,) = (store.root / stores.LAYOUT / "refs").glob("*/*.json")
    ref.write_bytes(record)
    assert store.find("kind", "name") is None
    assert store.entries() == []
    assert store.fill("kind", "name", _write()).digest == DIGEST
    assert store.find("kind", "name") is not None


# -- placing -----------------------------------------------------------------------------


@pytest.fixture
def entry(store: Store) -> Entry:
    return store.fill("kind", "name", _write())


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
    _damage(entry.path, DAMAGE["random"])
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
    tree = store.fill_tree("kind", "tree", _tree)
    assert store.sweep() == 123
    assert store.sweep() == 0
    assert store.intact(entry)
    assert store.intact(tree)


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
        made = store.fill("kind", "name", _write())
    else:
        made = store.fill_tree("kind", "name", _tree)
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
