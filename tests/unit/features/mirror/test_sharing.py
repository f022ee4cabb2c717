"""A fetch is shown to another front through the depot, but for the end; failures too."""

import asyncio

import pytest

from pyodide_offline.errors import NetworkError, RegistryError
from pyodide_offline.features.mirror import sharing
from pyodide_offline.features.mirror.growing import HELD, Growing, Spare
from pyodide_offline.features.mirror.sharing import Sharing, Watching
from tests.peers.depots import MemoryDepot
from tests.peers.fronts import played

BODY = bytes(range(256)) * 2048


def growing(tmp_path, name):
    return Growing(tmp_path / name, label="it", expected=None, limit=1 << 30, spare=Spare())


async def until(condition):
    while not await condition():
        await asyncio.sleep(0.01)


def test_another_front_gets_all_but_the_end(tmp_path):
    async def scene():
        depot = MemoryDepot()
        here, there = growing(tmp_path, "a"), growing(tmp_path, "b")
        shared, watching = Sharing(depot, "x", here), Watching(depot, "x", there)
        await watching.want()
        here.begin(len(BODY))
        for place in range(0, len(BODY), 50_000):
            here.append(BODY[place : place + 50_000])
            await asyncio.sleep(0.02)

        async def had():
            await watching.look()
            return there.size == len(BODY) - HELD

        await until(had)
        assert there.total == len(BODY)
        assert there.file.read_bytes() == BODY[:-HELD]
        here.finish()
        await shared.end()
        assert not [key for key in depot.values if key.startswith(sharing.SHARES)]

    played(scene)


def test_nothing_is_written_where_nobody_waits(tmp_path):
    async def scene():
        depot = MemoryDepot()
        here = growing(tmp_path, "a")
        shared = Sharing(depot, "x", here)
        here.begin(len(BODY))
        here.append(BODY)
        await asyncio.sleep(sharing.PAUSE * 3)
        assert depot.values == {}
        await shared.end()

    played(scene)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NetworkError("It broke."), NetworkError),
        (RegistryError("No such file.", facts={"status": 404}), RegistryError),
    ],
    ids=["network", "missing"],
)
def test_a_failure_is_told(tmp_path, monkeypatch, error, kind):
    monkeypatch.setattr(sharing, "_FAILURE_STANDS", 0.2)

    async def scene():
        depot = MemoryDepot()
        here, there = growing(tmp_path, "a"), growing(tmp_path, "b")
        shared, watching = Sharing(depot, "x", here), Watching(depot, "x", there)
        await watching.want()
        ending = asyncio.create_task(shared.end(error))
        with pytest.raises(kind, match=error.what) as caught:
            await until(watching.look)
        assert caught.value.facts.get("status") == error.facts.get("status")
        await ending
        assert depot.values == {}

    played(scene)


def test_a_second_fetch_goes_on_where_the_first_ended(tmp_path):
    async def scene():
        depot = MemoryDepot()
        first, second, there = (growing(tmp_path, name) for name in "abc")
        watching = Watching(depot, "x", there)
        await watching.want()
        Sharing(depot, "x", first)
        first.begin(len(BODY))
        first.append(BODY[: HELD * 3])

        async def some():
            await watching.look()
            return there.size > 0

        await until(some)
        had = there.size
        shared = Sharing(depot, "x", second)
        second.begin(len(BODY))
        second.append(BODY)

        async def more():
            await watching.look()
            return there.size == len(BODY) - HELD

        await until(more)
        assert 0 < had < there.size
        assert there.file.read_bytes() == BODY[:-HELD]
        second.finish()
        await shared.end()

    played(scene)


def test_a_depot_that_is_down_ends_sharing_alone(tmp_path):
    async def scene():
        depot = MemoryDepot()
        here = growing(tmp_path, "a")
        shared = Sharing(depot, "x", here)
        depot.down = True
        await asyncio.sleep(0.05)
        await shared.end(NetworkError("It broke."))

    played(scene)
