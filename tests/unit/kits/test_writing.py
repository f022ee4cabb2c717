"""A kit written: the same bytes from the same things, and no half of one."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits.reading import Reading
from pyodide_offline.kits.trust import Terms
from pyodide_offline.kits.unpacking import unpack
from pyodide_offline.kits.writing import write
from tests.peers import kits


def test_two_kits_of_the_same_things_are_the_same_bytes(tmp_path: Path) -> None:
    kits.kit(tmp_path / "one.kit")
    os.utime(tmp_path / "one.kit.files" / "npm-1.0.0.bin", (1, 1))
    manifest, blobs = kits.contents(tmp_path / "other")
    done: list[int] = []
    before = time.time()
    written = write(
        tmp_path / "two.kit",
        manifest,
        dict(reversed(blobs.items())),
        keys=[kits.key()],
        advance=done.append,
    )
    assert (tmp_path / "one.kit").read_bytes() == (tmp_path / "two.kit").read_bytes()
    assert sum(done) == sum(one.size for one in written.items)
    assert (tmp_path / "two.kit").stat().st_mtime >= before - 2


def test_what_a_base_lists_is_left_out_and_the_rest_is_enough(tmp_path: Path) -> None:
    kits.kit(tmp_path / "old" / "kit")
    base = Reading(io.BytesIO((tmp_path / "old" / "kit").read_bytes())).head()
    manifest, blobs = kits.contents(tmp_path / "new", b"x")
    target = tmp_path / "new.kit"
    done = write(target, manifest, blobs, keys=[kits.key()], base=base)
    assert list(done.carried.values()) == [2101]
    assert target.stat().st_size < (tmp_path / "old" / "kit").stat().st_size
    trusted, terms = tmp_path / "trust.json", Terms(keys=(kits.key().public,))
    assert not unpack([target], tmp_path / "store", trusted, terms).generation
    for kit in (tmp_path / "old" / "kit", target):
        assert unpack([kit], tmp_path / "store", trusted, terms).generation


def test_a_file_that_is_missing_or_another_leaves_the_old_kit_alone(tmp_path: Path) -> None:
    target = tmp_path / "target" / "kit"
    target.parent.mkdir()
    target.write_bytes(b"old")
    manifest, blobs = kits.contents(tmp_path / "files")
    first = manifest.items[0]
    with pytest.raises(IntegrityError, match="Nobody brought"):
        write(target, manifest, {k: v for k, v in blobs.items() if k != first.sha256})
    for content in (b"", b"longer" * 1000, bytes(first.size)):
        blobs[first.sha256].write_bytes(content)
        with pytest.raises(IntegrityError, match="not the file"):
            write(target, manifest, blobs)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
from tests.peers import kits
from pyodide_offline.kits import trust, unpacking, writing

folder = Path(sys.argv[1])
target = folder / "target" / "kit"
manifest, blobs = kits.contents(folder / "files")
terms = trust.Terms(keys=(kits.key().public,))
chance = random.Random(9)

def write():
    writing.write(target, manifest, blobs, keys=[kits.key()])

def whole():
    return not unpacking.verify([target], trust.Known(), terms)[1]

for number in range(200):
    if number % 3 == 0:
        target.unlink(missing_ok=True)
    reading, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            write()
            os.write(writing_end, b"x")
    os.close(writing_end)
    time.sleep(chance.random() / 30)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = os.read(reading, 1 << 16)
    os.close(reading)
    assert target.exists() or not told, number
    assert not target.exists() or whole(), number
write()
assert whole()
print("well")
"""


def test_a_process_killed_at_any_moment_leaves_a_whole_kit_or_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr
