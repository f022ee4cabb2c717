"""Unpacking: all or nothing, resumed after a kill, switched by one rename."""

import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import layout, unpacking
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, UNTRUSTED
from pyodide_offline.kits.trust import Known, Terms
from pyodide_offline.kits.unpacking import Outcome, unpack
from tests.peers import kits

TERMS = Terms(keys=(kits.key().public,))
KILLS = 200


class Room:
    """A kit file, a store to unpack it to, a record of what was seen."""

    def __init__(self, folder: Path) -> None:
        self.kit, self.root = folder / "room" / "kit", folder / "room" / "store"
        self.trusted = folder / "room" / "trust.json"
        self.manifest = kits.kit(self.kit)

    def unpack(self, terms: Terms = TERMS, kit: Path | None = None) -> Outcome:
        return unpack([kit or self.kit], self.root, self.trusted, terms)

    def placed(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "lock"
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_kit_is_unpacked_and_its_items_are_there_read_only(room: Room) -> None:
    done = room.unpack()
    assert done.generation is not None
    assert (done.faults, done.written, done.kept) == ((), 4, 0)
    assert done.generation == unpacking.current(room.root)
    for item in room.manifest.items:
        path = done.generation.path(item)
        assert path.stat().st_size == item.size
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert (done.generation.folder / layout.PROGRAM).stat().st_mode & 0o111


def test_what_a_killed_one_had_not_named_yet_is_removed(room: Room) -> None:
    room.unpack()
    blobs = room.root / "blobs" / "sha256"
    left = [blobs / f".{'0' * 64}.x", room.root / ".current.x"]
    for path in left:
        path.touch()
    recent, old = (room.trusted.with_name(f".{room.trusted.name}.{one}") for one in "ab")
    for path in (recent, old):
        path.touch()
    os.utime(old, (1, 1))
    room.unpack()
    assert not [path for path in (*left, old) if path.exists()]
    assert recent.exists()


def test_what_is_there_is_not_read_again_and_what_is_damaged_is(room: Room) -> None:
    room.unpack()
    again = room.unpack()
    assert (again.written, again.kept) == (0, 4)
    assert len(unpacking.generations(room.root)) == 1
    assert again.generation is not None
    path = again.generation.path(room.manifest.items[0])
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(b"x" * len(good))
    assert room.unpack().written == 1
    assert path.read_bytes() == good


@pytest.mark.parametrize("bit", [CORRUPT, UNTRUSTED, INCOMPLETE])
def test_a_kit_with_a_fault_places_nothing(room: Room, bit: int) -> None:
    data, terms = bytearray(room.kit.read_bytes()), TERMS
    if bit == CORRUPT:
        data[data.rindex(b"TARball")] ^= 1
    elif bit == INCOMPLETE:
        del data[-2000:]
    else:
        terms = Terms()
    room.kit.write_bytes(data)
    done = room.unpack(terms)
    assert done.generation is None
    assert {one.bit for one in done.faults} == {bit}
    assert not [name for name in room.placed() if not name.startswith("incoming/")]
    assert not room.trusted.exists()


def test_changed_bits_place_nothing_and_end_in_no_other_exception(room: Room) -> None:
    data = room.kit.read_bytes()
    chance = random.Random(5)  # noqa: S311 - the same bits each time
    for bit in chance.sample(range(8 * len(data)), 300):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        room.kit.write_bytes(changed)
        assert room.unpack().faults, f"bit {bit}"
    for size in chance.sample(range(len(data)), 50):
        room.kit.write_bytes(data[:size])
        assert room.unpack().faults, size
    assert not [name for name in room.placed() if not name.startswith("incoming/")]


def test_a_truncated_kit_is_finished_from_a_whole_one_without_reading_all(room: Room) -> None:
    whole = room.kit.read_bytes()
    room.kit.write_bytes(whole[: whole.rindex(b"WheeL")])
    assert room.unpack().generation is None
    room.kit.write_bytes(whole)
    done = room.unpack()
    assert done.generation is not None
    assert done.kept > 0
    assert done.kept + done.written == 4


def test_a_pipe_is_unpacked_too(room: Room, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for _ in range(2):
        with subprocess.Popen(["cp", room.kit, pipe]):
            assert room.unpack(kit=pipe).generation is not None


def test_rollback_goes_back_one_generation_at_a_time(room: Room, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no generation before"):
        unpacking.rollback(room.root)
    first = room.unpack().generation
    kits.kit(tmp_path / "other" / "kit", extra=b"more")
    second = room.unpack(kit=tmp_path / "other" / "kit").generation
    assert first is not None
    assert second is not None
    assert second == unpacking.current(room.root)
    assert unpacking.rollback(room.root) == first == unpacking.current(room.root)
    assert unpacking.generations(room.root) == [first, second]
    with pytest.raises(StorageError, match="no generation before"):
        unpacking.rollback(room.root)


def test_pruning_leaves_what_the_kept_generations_need(room: Room, tmp_path: Path) -> None:
    assert unpacking.prune(room.root) == ([], 0)
    first = room.unpack().generation
    made = []
    for extra in (b"1", b"2"):
        kits.kit(tmp_path / "other" / "kit", extra=extra)
        made.append(room.unpack(kit=tmp_path / "other" / "kit").generation)
    second, third = made
    assert first is not None
    assert second is not None
    assert third is not None
    program = room.root / "programs" / f"{first.name}-cpython-311"
    program.mkdir(parents=True)
    old = first.path(next(item for item in first.manifest.items if item.kind == "npm"))
    gone, freed = unpacking.prune(room.root)
    assert gone == [first.name]
    assert freed > 2100
    assert not old.exists()
    assert not program.exists()
    assert all(one.path(item).exists() for one in (second, third) for item in one.manifest.items)
    assert unpacking.prune(room.root) == ([], 0)
    # After a rollback the generation that was left goes, never the one that holds.
    unpacking.rollback(room.root)
    assert unpacking.prune(room.root, keep=1)[0] == [third.name]
    assert unpacking.current(room.root) == second
    assert all(second.path(item).exists() for item in second.manifest.items)


def test_a_damaged_generation_is_told(room: Room) -> None:
    done = room.unpack().generation
    assert done is not None
    (done.folder / "manifest.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="damaged"):
        unpacking.current(room.root)
    (room.root / "current").write_text("../../etc")
    with pytest.raises(IntegrityError, match="missing"):
        unpacking.current(room.root)


def test_blobs_of_the_base_must_be_there(room: Room, tmp_path: Path) -> None:
    less = kits.difference(tmp_path / "less" / "kit", room.manifest)
    _, faults = unpacking.verify([tmp_path / "less" / "kit"], Known(), TERMS, root=room.root)
    assert {one.bit for one in faults} == {INCOMPLETE}
    assert room.unpack(kit=tmp_path / "less" / "kit").generation is None
    room.unpack()
    done = room.unpack(kit=tmp_path / "less" / "kit")
    assert done.generation is not None
    assert done.generation.manifest == less
    assert all(done.generation.path(item).exists() for item in less.items)


SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
from tests.peers import kits
from pyodide_offline.kits import unpacking
from pyodide_offline.kits.trust import Terms

kit, root, trusted = map(Path, sys.argv[1:4])
terms = Terms(keys=(kits.key().public,))
chance = random.Random(6)

def unpack():
    done = unpacking.unpack([kit], root, trusted, terms)
    assert done.generation, done.faults
    return done.generation

def over_and_over(told):
    while True:
        found = unpack()
        for item in found.manifest.items:
            assert found.path(item).stat().st_size == item.size
        os.write(told, found.name.encode() + b"\\n")
        for item in found.manifest.items[::2]:
            found.path(item).unlink(missing_ok=True)

acknowledged = b""
for number in range(int(sys.argv[4])):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        over_and_over(writing)
    os.close(writing)
    time.sleep(chance.random() / 30)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "it ended by itself"
    acknowledged = (os.read(reading, 1 << 16).split() or [acknowledged])[-1]
    os.close(reading)
    now = unpacking.current(root)
    assert not acknowledged or now.name.encode() == acknowledged, (number, now)
found = unpack()
for item in found.manifest.items:
    assert unpacking._is(found.path(item), item.sha256, item.size), item
assert not (root / "incoming").exists()
print("well")
"""


def test_a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged(room: Room) -> None:
    """Each child unpacks over and over, and takes half of the blobs away in between."""
    arguments = [str(room.kit), str(room.root), str(room.trusted), str(KILLS)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr
