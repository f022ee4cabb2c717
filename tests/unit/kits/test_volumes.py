"""Volumes: read in place in any order, told by what they say and never by their names."""

import random
import shutil
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import volumes
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, Reading
from pyodide_offline.kits.trust import Known, Terms
from pyodide_offline.kits.unpacking import verify
from tests.peers import kits

PINNED = Known((kits.key().public.line,))


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    target = tmp_path / "source" / "my.kit"
    kits.kit(target)
    return target


def _bits(paths: list[Path]) -> set[int]:
    return {one.bit for one in verify(paths, PINNED, Terms())[1]}


def test_volumes_are_even_and_read_in_any_order_under_any_name(kit: Path, tmp_path: Path) -> None:
    before = kit.read_bytes()
    made = volumes.split(kit, tmp_path / "out", 20_000)
    sizes = [path.stat().st_size for path in made]
    assert len(made) > 2
    assert max(sizes) <= 20_000
    assert max(sizes) - min(sizes) < len(made)
    moved = [
        path.rename(tmp_path / f"other {number}") for number, path in enumerate(reversed(made))
    ]
    random.Random(3).shuffle(moved)  # noqa: S311
    assert _bits(moved) == set()
    volumes.join(moved, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == before == kit.read_bytes()


def test_one_volume_is_enough_where_all_fits(kit: Path, tmp_path: Path) -> None:
    (only,) = volumes.split(kit, tmp_path / "out", 1 << 30)
    assert _bits([only]) == set()


def test_missing_volumes_are_named(kit: Path, tmp_path: Path) -> None:
    made = volumes.split(kit, tmp_path / "out", 20_000)
    _, faults = verify([made[0], made[-1]], PINNED, Terms())
    missing = ", ".join(str(number) for number in range(2, len(made)))
    assert any(missing in one.reason and one.bit == INCOMPLETE for one in faults)
    with pytest.raises(IntegrityError, match="cannot be joined"):
        volumes.join(made[1:], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_every_changed_bit_and_truncation_of_a_volume_is_found(kit: Path, tmp_path: Path) -> None:
    made = volumes.split(kit, tmp_path / "out", 20_000)
    good = made[1].read_bytes()
    chance = random.Random(4)  # noqa: S311 - the same bits each time
    head = chance.sample(range(8 * volumes.HEAD), 200)
    for bit in [*head, *chance.sample(range(8 * len(good)), 100)]:
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        made[1].write_bytes(changed)
        assert _bits(made), f"bit {bit}"
    for size in chance.sample(range(len(good)), 30):
        made[1].write_bytes(good[:size])
        assert _bits(made), size
    made[1].write_bytes(good)
    assert _bits(made) == set()


def test_a_volume_of_another_kit_is_told(kit: Path, tmp_path: Path) -> None:
    made = volumes.split(kit, tmp_path / "out", 20_000)
    other = tmp_path / "other" / "my.kit"
    kits.kit(other, extra=b"x")
    made[1] = volumes.split(other, tmp_path / "other", 20_000)[1]
    _, faults = verify(made, PINNED, Terms())
    assert any("another kit" in one.reason and one.bit == CORRUPT for one in faults)


def test_stale_volumes_are_removed_and_nothing_else(kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    many = volumes.split(kit, out, 15_000)
    (out / "my.kit.999").write_text("not a volume")
    few = volumes.split(kit, out, 40_000)
    assert len(few) < len(many)
    assert sorted(out.iterdir()) == [*few, out / "my.kit.999"]


def test_what_cannot_be_split_or_opened_is_told(kit: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="holds nothing"):
        volumes.split(kit, tmp_path, 600)
    shutil.copy(Path(__file__), tmp_path / "text")
    with pytest.raises(IntegrityError, match="is no kit"):
        volumes.split(tmp_path / "text", tmp_path, 2000)
    with pytest.raises(IntegrityError, match="can be read"):
        volumes.head([tmp_path / "text"])
    assert volumes.head([kit]).manifest.name == "example"
    with pytest.raises(StorageError, match="cannot be read"), volumes.opened([tmp_path / "none"]):
        pass


def test_blobs_that_nobody_wants_are_passed_over(kit: Path, tmp_path: Path) -> None:
    class Nothing:
        def wants(self, sha256: str, size: int) -> bool:  # noqa: ARG002
            return False

        def write(self, data: memoryview, /) -> None:  # noqa: ARG002
            raise AssertionError

        def end(self, sha256: str, *, good: bool) -> None:  # noqa: ARG002
            raise AssertionError

    made = volumes.split(kit, tmp_path / "out", 20_000)
    with volumes.opened(made) as (source, faults):
        reading = Reading(source)
        head = reading.head()
        assert head is not None
        reading.blobs(head, Nothing())
        assert (reading.faults, faults) == ([], [])
