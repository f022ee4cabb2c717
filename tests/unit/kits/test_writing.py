"""A kit written: the same bytes from the same things, and no half of one."""

import io
import os
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
