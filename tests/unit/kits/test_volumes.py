"""Volumes: read in place in any order, told by what they say and never by their names."""

import random
import shutil
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import volumes, writing
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


def _split(kit: Path, folder: Path, size: int) -> list[Path]:
    return writing.split(kit, folder / kit.name, size)


def _bits(paths: list[Path]) -> set[int]:
    return {one.bit for one in verify(paths, PINNED, Terms())[1]}


def test_volumes_are_even_and_read_in_any_order_under_any_name(kit: Path, tmp_path: Path) -> None:
    before = kit.read_bytes()
    made = _split(kit, tmp_path / "out", 20_000)
    sizes = [path.stat().st_size for path in made]
    assert len(made) > 2
    assert max(sizes) <= 20_000
    assert max(sizes) - min(sizes) < len(made)
    moved = [
        path.rename(tmp_path / f"other {number}") for number, path in enumerate(reversed(made))
    ]
    random.Random(3).shuffle(moved)  # noqa: S311
    assert _bits(moved) == set()
    writing.join(moved, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == before == kit.read_bytes()


def test_one_volume_is_enough_where_all_fits(kit: Path, tmp_path: Path) -> None:
    (only,) = _split(kit, tmp_path / "out", 1 << 30)
    assert _bits([only]) == set()


def test_missing_volumes_are_named(kit: Path, tmp_path: Path) -> None:
    made = _split(kit, tmp_path / "out", 20_000)
    _, faults = verify([made[0], made[-1]], PINNED, Terms())
    missing = ", ".join(str(number) for number in range(2, len(made)))
    assert any(missing in one.reason and one.bit == INCOMPLETE for one in faults)
    with pytest.raises(IntegrityError, match="cannot be joined"):
        writing.join(made[1:], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_every_changed_bit_and_truncation_of_a_volume_is_found(kit: Path, tmp_path: Path) -> None:
    made = _split(kit, tmp_path / "out", 20_000)
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
    made = _split(kit, tmp_path / "out", 20_000)
    other = tmp_path / "other" / "my.kit"
    kits.kit(other, extra=b"x")
    made[1] = _split(other, tmp_path / "other", 20_000)[1]
    _, faults = verify(made, PINNED, Terms())
    assert any("another kit" in one.reason and one.bit == CORRUPT for one in faults)


def test_folders_are_looked_into_and_what_is_no_volume_does_not_matter(
    kit: Path, tmp_path: Path
) -> None:
    made = _split(kit, tmp_path / "out", 20_000)
    media = [tmp_path / "media" / str(number) for number in range(3)]
    for number, path in enumerate(made):
        medium = media[number % 3]
        medium.mkdir(parents=True, exist_ok=True)
        path.rename(medium / f"PART{number}.BIN")
        (medium / "readme.txt").write_text("no volume")
        (medium / "my.kit.999").write_text("no volume either")
        (medium / "empty").touch()
    assert _bits([media[2], media[0], media[1]]) == set()
    assert _bits([media[0], *media[1].glob("PART*"), media[2]]) == set()
    assert _bits(media[:2]) == {INCOMPLETE}
    (tmp_path / "no volumes").mkdir()
    with pytest.raises(StorageError, match="No volume of a kit lies in"):
        _bits([*media, tmp_path / "no volumes"])


def test_left_overs_of_another_splitting_are_no_part_of_this_one(kit: Path, tmp_path: Path) -> None:
    old = _split(kit, tmp_path / "out", 15_000)
    kept = [path.rename(path.with_name(f"old {path.name}")) for path in old]
    new = _split(kit, tmp_path / "out", 40_000)
    for stale in kept[::2]:
        stale.unlink()
    assert _bits([tmp_path / "out"]) == set()
    new[0].unlink()
    _, faults = verify([tmp_path / "out"], PINNED, Terms())
    assert any("another splitting" in one.reason for one in faults)
    assert any("missing" in one.reason for one in faults)


def test_a_good_copy_of_a_volume_is_taken_for_a_damaged_one(kit: Path, tmp_path: Path) -> None:
    made = _split(kit, tmp_path / "out", 20_000)
    copy = Path(shutil.copy(made[0], tmp_path / "copy"))
    data = bytearray(made[0].read_bytes())
    data[-9] ^= 1
    made[0].write_bytes(data)
    assert CORRUPT in _bits(made)
    assert _bits([*made, copy]) == _bits([copy, *made]) == set()


def test_what_cannot_be_split_or_opened_is_told(kit: Path, tmp_path: Path) -> None:
    shutil.copy(Path(__file__), tmp_path / "text")
    with pytest.raises(IntegrityError, match="is no kit"):
        _split(tmp_path / "text", tmp_path, 2000)
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

    made = _split(kit, tmp_path / "out", 20_000)
    with volumes.opened(made) as (source, faults):
        reading = Reading(source)
        head = reading.head()
        assert head is not None
        reading.blobs(head, Nothing())
        assert (reading.faults, faults) == ([], [])
