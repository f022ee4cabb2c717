"""The store under hardship: two at once, kill -9, a full disk, a read-only one."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline import disk
from pyodide_offline.errors import StorageError
from pyodide_offline.store import Store
from tests.peers.contents import DIGEST, files, never, write


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
    leftovers = [path for path in files(store) if "/tmp/" in path]
    assert len(leftovers) == 1
    assert store.find("kind", "name") is None
    assert store.fill("kind", "name", write()).digest == DIGEST
    assert [path for path in files(store) if "/tmp/" in path] == []


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
    assert files(store) == ["CACHEDIR.TAG"]
    assert store.fill("kind", "name", write()).digest == DIGEST


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_store_that_cannot_be_written_says_so_and_can_still_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made = store.fill("kind", "name", write())

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere, so no chmod here
    with pytest.raises(StorageError, match="Cannot write") as caught:
        store.fill("kind", "other", write())
    assert "PYODIDE_OFFLINE_STORE_DIR" in caught.value.next_step
    assert store.fill("kind", "name", never) == made
    store.remember("memo", "key", 1)  # forgets it without a word
    assert store.memo("memo", "key") is None


@pytest.mark.parametrize("what", ["content", "record", "memo"])
def test_what_another_user_owns_counts_as_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    made = store.fill("kind", "name", write())
    store.remember("memo", "key", 1)
    (record,) = (store.root / "v1" / "refs").glob("*/*.json")
    (memo,) = (store.root / "v1" / "memos").glob("*/*.json")
    theirs = {"content": made.path, "record": record, "memo": memo}[what].stat()
    # Owners can be changed by root alone; what is decided on is the file's owner.
    monkeypatch.setattr(
        disk,
        "foreign",
        lambda found: (found.st_ino, found.st_ctime_ns) == (theirs.st_ino, theirs.st_ctime_ns),
    )
    assert (store.find("kind", "name") is None) is (what != "memo")
    assert (store.memo("memo", "key") is None) is (what == "memo")
    again = store.fill("kind", "name", write())
    assert store.find("kind", "name") == again
