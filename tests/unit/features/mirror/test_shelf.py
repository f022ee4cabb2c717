import os
import time
from hashlib import sha256
from pathlib import Path

from pyodide_offline.features.mirror.names import blob_key
from pyodide_offline.features.mirror.shelf import Shelf


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _key(number: int) -> str:
    return blob_key("sha256", sha256(str(number).encode()).hexdigest())


def _file(base: Path, number: int, size: int = 100) -> str:
    path = base / _key(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return _key(number)


def _present(base: Path, count: int) -> list[int]:
    return [number for number in range(count) if (base / _key(number)).exists()]


def _shelf(base: Path, limit: int, clock: Clock) -> Shelf:
    (base / "tmp").mkdir(exist_ok=True)
    return Shelf(base, limit, clock=clock)


def test_what_was_not_asked_for_the_longest_goes_first(tmp_path: Path) -> None:
    clock = Clock()
    shelf = _shelf(tmp_path, 300, clock)
    for number in range(3):
        shelf.put(_file(tmp_path, number), 100)
        clock.now += 100
    shelf.used(_key(0))
    clock.now += 100
    shelf.put(_file(tmp_path, 3), 100)
    assert _present(tmp_path, 4) == [0, 2, 3]
    assert (shelf.size, len(shelf)) == (300, 3)


def test_what_is_perhaps_being_opened_stays(tmp_path: Path) -> None:
    clock = Clock()
    shelf = _shelf(tmp_path, 100, clock)
    for number in range(4):
        shelf.put(_file(tmp_path, number), 100)
    assert _present(tmp_path, 4) == [0, 1, 2, 3]
    assert not shelf.give_way(100)
    clock.now += 61
    shelf.put(_file(tmp_path, 4), 100)
    assert _present(tmp_path, 5) == [4]


def test_a_full_disk_makes_it_smaller_than_its_limit(tmp_path: Path) -> None:
    clock = Clock()
    shelf = _shelf(tmp_path, 1000, clock)
    for number in range(4):
        shelf.put(_file(tmp_path, number), 100)
    clock.now += 61
    assert shelf.give_way(150)
    assert _present(tmp_path, 4) == [2, 3]


def test_what_was_there_before_goes_in_the_order_of_its_files_times(tmp_path: Path) -> None:
    clock = Clock()
    for number, age in enumerate((10, 30, 20)):
        key = _file(tmp_path, number)
        then = time.time() - age
        os.utime(tmp_path / key, (then, then))
    (tmp_path / "blobs" / "sha256" / "stray").write_text("not ours")
    shelf = _shelf(tmp_path, 300, clock)
    assert shelf.size == 300
    shelf.put(_file(tmp_path, 3), 100)
    assert _present(tmp_path, 4) == [0, 2, 3]


def test_files_of_another_process_count_after_a_while_and_lost_ones_no_more(
    tmp_path: Path,
) -> None:
    clock = Clock()
    shelf = _shelf(tmp_path, 300, clock)
    shelf.put(_file(tmp_path, 0), 100)
    _file(tmp_path, 1)
    (tmp_path / _key(0)).unlink()
    clock.now += 61
    shelf.put(_file(tmp_path, 2), 100)
    assert (shelf.size, len(shelf)) == (200, 2)


def test_leftovers_go_when_they_are_old_only(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    old, new = tmp_path / "tmp" / "old", tmp_path / "tmp" / "new"
    for path in (old, new):
        path.write_text("")
    then = time.time() - 2 * 24 * 3600
    os.utime(old, (then, then))
    _shelf(tmp_path, 1, Clock())
    assert (old.exists(), new.exists()) == (False, True)
