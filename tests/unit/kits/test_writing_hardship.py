"""A kit written under hardship: kill -9, Ctrl-C, a full disk, two at once."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline import disk
from pyodide_offline.errors import StorageError
from pyodide_offline.kits import drafts, trust, unpacking
from pyodide_offline.kits.drafts import Draft
from pyodide_offline.kits.trust import Terms
from pyodide_offline.kits.writing import write
from tests.peers import kits

TERMS = Terms(keys=(kits.key().public,))
SIZE = 40_000
SHAPES = {"one file": None, "volumes": SIZE}

SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
from tests.peers import kits
from pyodide_offline.kits import trust, unpacking, writing
from pyodide_offline.kits.reading import INCOMPLETE

folder, size = Path(sys.argv[1]), int(sys.argv[2]) or None
target = folder / "target" / "kit"
manifest, blobs = kits.contents(folder / "files")
terms = trust.Terms(keys=(kits.key().public,))
chance = random.Random(9)

def write():
    writing.write(target, manifest, blobs, keys=[kits.key()], volume_size=size)

def files():
    return [path for path in target.parent.glob("kit*")] if target.parent.exists() else []

def whole():
    return files() and not unpacking.verify(files(), trust.Known(), terms)[1]

for number in range(200):
    if number % 3 == 0:
        for path in files():
            path.unlink()
    reading, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            write()
            os.write(writing_end, b"x")
    os.close(writing_end)
    time.sleep(chance.random() / 30)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "it ended by itself"
    told = os.read(reading, 1 << 16)
    os.close(reading)
    there = files()
    assert whole() or not told, number
    if there and size is None:
        assert whole(), number
    elif there:
        # Some of the volumes have their names: each is right, and what misses is told.
        faults = unpacking.verify(there, trust.Known(), terms)[1]
        assert {one.bit for one in faults} <= {INCOMPLETE}, (number, faults)
    left = [path.name for path in target.parent.glob(".*")] if target.parent.exists() else []
    # One draft a volume at most, however many were killed.
    assert len(left) <= 16, left
writing.write(target, manifest, blobs, keys=[kits.key()], volume_size=size)
assert whole()
assert not list(target.parent.glob(".*"))
print("well")
"""


def _python(code: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_process_killed_at_any_moment_leaves_a_whole_kit_or_none(
    tmp_path: Path, shape: str
) -> None:
    with _python(SCRIPT, tmp_path, SHAPES[shape] or 0) as child:
        out, errors = child.communicate()
    assert out == "well\n", errors


INTERRUPTED = """
import os
import sys
from pathlib import Path
from tests.peers import kits
from pyodide_offline.kits import writing

folder, size = Path(sys.argv[1]), int(sys.argv[2]) or None
manifest, blobs = kits.contents(folder / f"files {os.getpid()}")
slow = [0]
def advance(count):
    slow[0] += 1
    if slow[0] == 2:
        print("half", flush=True)
        sys.stdin.readline()
writing.write(folder / "target" / "kit", manifest, blobs, volume_size=size, advance=advance)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
@pytest.mark.parametrize("shape", SHAPES)
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, shape: str) -> None:
    with _python(INTERRUPTED, tmp_path, SHAPES[shape] or 0) as child:
        assert child.stdout
        assert child.stdout.readline() == "half\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("moment", ["writing", "fsync", "naming"])
def test_no_room_at_any_moment_leaves_the_old_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, number: int, shape: str
) -> None:
    target = tmp_path / "target" / "kit"
    manifest, blobs = kits.contents(tmp_path / "files")
    write(target, manifest, blobs, keys=[kits.key()], volume_size=SHAPES[shape])
    before = {path: path.read_bytes() for path in target.parent.iterdir()}
    chance = random.Random(number)  # noqa: S311 - the same moments each time
    left = chance.randrange(1, 12)
    old = Draft.write

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def some(self: Draft, data: bytes | memoryview) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            old(self, memoryview(data)[: len(data) // 2])
            full()
        old(self, data)

    with monkeypatch.context() as patch:
        if moment == "writing":
            patch.setattr(Draft, "write", some)
        elif moment == "fsync":
            patch.setattr(disk, "fsync", full)
        else:
            patch.setattr(Draft, "publish", full)
        with pytest.raises(StorageError, match="is full"):
            write(target, manifest, blobs, keys=[kits.key()], volume_size=SHAPES[shape])
    assert {path: path.read_bytes() for path in target.parent.iterdir()} == before


FULL = """
import sys
from pathlib import Path
from tests.peers import kits
from pyodide_offline.errors import StorageError
from pyodide_offline.kits import writing

room, files = map(Path, sys.argv[1:3])
manifest, blobs = kits.contents(files, bytes(3 << 20))
for size in (None, 1 << 20):
    try:
        writing.write(room / "kit", manifest, blobs, volume_size=size)
    except StorageError as error:
        assert "is full" in error.what, error
    else:
        sys.exit("no error")
    assert not list(room.iterdir()), list(room.iterdir())
print("well")
"""


def _may_mount() -> bool:
    if sys.platform != "linux":
        return False
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="no tmpfs here")
def test_a_full_disk_is_a_storage_error_with_nothing_half_written(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    inside = 'mount -t tmpfs -o size=2m,mode=0700 tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    words = ["sh", str(room), sys.executable, FULL, str(tmp_path / "files")]
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", inside, *words],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
@pytest.mark.parametrize("shape", SHAPES)
def test_two_at_once_both_leave_a_whole_kit(tmp_path: Path, shape: str) -> None:
    children = [_python(INTERRUPTED, tmp_path / "a", SHAPES[shape] or 0) for _ in range(2)]
    for child in children:  # all of them, as one of them waits for the other
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.close()
        child.stdin = None
    outputs = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    files = sorted((tmp_path / "a" / "target").iterdir())
    unsigned = Terms(unsigned=True)
    assert unpacking.verify(files, trust.Known(), unsigned)[1] == []
    assert (len(files) > 1) == (shape == "volumes")


def test_a_draft_that_somebody_writes_is_not_swept_away(tmp_path: Path) -> None:
    target = tmp_path / "to" / "k[i]t"
    names = ["", ".001", ".999"]
    left = [drafts.unfinished(target.with_name(f"{target.name}{one}")) for one in names]
    target.parent.mkdir()
    others = [target.with_name(one) for one in (".k[i]t.1.part", ".kit.001.part", "k[i]t.001.part")]
    for path in [*left, *others]:
        path.touch()
    with drafts.draft(target):
        drafts.sweep(target)
        assert sorted(target.parent.iterdir()) == sorted([left[0], *others])
    assert sorted(target.parent.iterdir()) == sorted(others)
