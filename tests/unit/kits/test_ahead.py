"""Blobs hashed ahead: a hint about whole ones; every fault is found and named as without."""

import io
import os
import random
import sys
from pathlib import Path

import pytest

from pyodide_offline.kits import ahead, layout
from pyodide_offline.kits.reading import Fault, Head, Reading
from pyodide_offline.kits.trust import Known, Terms
from pyodide_offline.kits.unpacking import verify
from tests.peers import kits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="preadv and affinity")
TERMS = Terms(keys=(kits.key().public,))
HARMS = 120


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    kits.kit(tmp_path / "my.kit")
    return tmp_path / "my.kit"


def read(path: Path) -> Head:
    with path.open("rb", buffering=0) as file:
        found = Reading(file).head()
    assert found is not None
    return found


def plainly(path: Path) -> list[Fault]:
    """Return the faults that one reading from the beginning to the end finds."""
    with path.open("rb", buffering=0) as file:
        reading = Reading(file)
        if head := reading.head():
            reading.blobs(head)
        return reading.faults


def test_it_is_told_which_blobs_are_whole(kit: Path) -> None:
    head = read(kit)
    places = layout.places(head.manifest, head.data, head.signatures)
    members = layout.blobs(head.manifest, head.data, head.signatures)
    damaged = max(members, key=lambda one: one.size).sha256
    data = bytearray(kit.read_bytes())
    data[places[damaged]] ^= 1
    kit.write_bytes(data)
    with kit.open("rb", buffering=0) as file, ahead.hashing(file, head) as whole:
        assert whole is not None
        assert {name for name in places if not whole(name)} == {damaged}
        assert not whole("0" * 64)


def test_a_good_kit_is_read_once(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(Reading, "_content", never)
    told: list[int] = []
    assert verify([kit], Known(), TERMS, advance=told.append)[1] == []
    assert sum(told) == kit.stat().st_size


def test_each_harm_is_named_as_without(kit: Path) -> None:
    whole, chance = kit.read_bytes(), random.Random(7)  # noqa: S311
    for number in range(HARMS):
        data = bytearray(whole)
        if number % 3:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        kit.write_bytes(data)
        found = [one for one in verify([kit], Known(), TERMS)[1] if one in plainly(kit)]
        assert found == plainly(kit) != [], number


def test_what_cannot_be_read_is_not_whole(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    assert verify([kit], Known(), TERMS)[1] == []


def test_a_pipe_and_several_volumes_are_read_as_ever(kit: Path) -> None:
    with ahead.hashing(io.BytesIO(kit.read_bytes()), read(kit)) as whole:
        assert whole is None
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as file, ahead.hashing(file, read(kit)) as whole:
        assert whole is None


def test_one_processor_has_nothing_to_share(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with kit.open("rb", buffering=0) as file, ahead.hashing(file, read(kit)) as whole:
        assert whole is None


def test_an_interrupted_reading_ends_the_threads(kit: Path) -> None:
    import threading

    before = threading.active_count()
    with (
        pytest.raises(KeyboardInterrupt),
        kit.open("rb", buffering=0) as file,
        ahead.hashing(file, read(kit)),
    ):
        raise KeyboardInterrupt
    assert threading.active_count() == before
