import asyncio
import json

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.names import lease_key
from tests.peers.depots import MemoryDepot

_NAME = "npm/x"
_KEY = lease_key(_NAME)


class Clock:
    """A clock of its own for each front, which a test sets."""

    def __init__(self, now: float = 0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Forgetful(MemoryDepot):
    """Does what it is asked, and then its answer gets lost and the question is asked again."""

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        await super().swap(key, value, etag)
        return None


def test_one_of_many_gets_it_and_the_next_after_it_was_given_back() -> None:
    async def play() -> None:
        depot = MemoryDepot()
        fronts = [Leases(depot, f"front {number}") for number in range(5)]
        taken = await asyncio.gather(*(front.take(_NAME) for front in fronts))
        held = [lease for lease in taken if lease is not None]
        assert len(held) == 1
        async with held[0]:
            assert await fronts[0].take(_NAME) is None
            assert json.loads(depot.values[_KEY][0])["who"].startswith("front ")
        taken = await asyncio.gather(*(front.take(_NAME) for front in fronts))
        assert len([lease for lease in taken if lease is not None]) == 1

    asyncio.run(play())


def test_a_dead_holders_lease_is_taken_over_by_one_after_a_term_of_the_watchers_clock() -> None:
    async def play() -> None:
        depot = MemoryDepot()
        # The holder's clock is a year ahead of the watchers': nobody compares them.
        holder = await Leases(depot, "dead", clock=Clock(31e6)).take(_NAME)
        assert holder is not None
        clocks = [Clock(5), Clock(1e9)]
        watchers = [Leases(depot, clock=clock) for clock in clocks]
        for _ in range(3):
            assert [await one.take(_NAME) for one in watchers] == [None, None]
            for clock in clocks:
                clock.now += 2.4
        for clock in clocks:
            clock.now += 1
        taken = await asyncio.gather(*(one.take(_NAME) for one in watchers))
        assert len([one for one in taken if one is not None]) == 1
        assert not await holder.beat()
        assert holder.lost.is_set()
        await holder.release()
        assert depot.values[_KEY][0] != b'{"free":true}'

    asyncio.run(play())


def test_a_holder_that_beats_keeps_it() -> None:
    async def play() -> None:
        depot, clock = MemoryDepot(), Clock()
        holder = await Leases(depot).take(_NAME)
        assert holder is not None
        watcher = Leases(depot, clock=clock)
        for _ in range(20):
            assert await watcher.take(_NAME) is None
            clock.now += 4
            assert await holder.beat()

    asyncio.run(play())


def test_the_block_beats_by_itself_and_tells_of_a_loss() -> None:
    async def play() -> None:
        depot = MemoryDepot()
        lease = await Leases(depot, term=0.03).take(_NAME)
        assert lease is not None
        async with asyncio.timeout(20), lease:
            while json.loads(depot.values[_KEY][0])["beat"] < 3:
                await asyncio.sleep(0.005)
            await depot.remove(_KEY)
            await lease.lost.wait()
        assert _KEY not in depot.values

    asyncio.run(play())


def test_a_depot_that_stays_away_means_lost() -> None:
    async def play() -> None:
        depot = MemoryDepot()
        lease = await Leases(depot, term=0.03).take(_NAME)
        assert lease is not None
        async with asyncio.timeout(20), lease:
            depot.down = True
            await lease.lost.wait()
        with pytest.raises(DepotDownError):
            await Leases(depot).take(_NAME)

    asyncio.run(play())


def test_a_depot_that_hangs_means_lost_before_others_take_it_for_over() -> None:
    class Hanging(MemoryDepot):
        async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
            if etag is not None:
                await asyncio.Event().wait()
            return await super().swap(key, value, etag)

    async def play() -> None:
        depot = Hanging()
        lease = await Leases(depot, term=0.2).take(_NAME)
        assert lease is not None
        beating = asyncio.create_task(lease._keep())
        await asyncio.wait_for(lease.lost.wait(), 10)
        await beating

    asyncio.run(play())


def test_one_that_is_retired_is_gone_and_one_that_was_taken_meanwhile_stays() -> None:
    async def play() -> None:
        depot = MemoryDepot()
        first = await Leases(depot).take(_NAME)
        assert first is not None
        _, seen = depot.values[_KEY]
        await first.release()
        assert not await Leases(depot).retire(_KEY, seen)
        assert await Leases(depot).retire(_KEY, depot.values[_KEY][1])
        assert _KEY not in depot.values

    asyncio.run(play())


def test_an_answer_that_got_lost_is_no_lost_lease() -> None:
    async def play() -> None:
        depot = Forgetful()
        lease = await Leases(depot).take(_NAME)
        assert lease is not None
        assert await lease.beat()
        assert await lease.beat()
        assert not lease.lost.is_set()

    asyncio.run(play())


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b"\xff", b'{"term": "long"}', b'{"term": 1e99}', b'{"term": -1}'],
    ids=["empty", "list", "bytes", "text", "for ever", "negative"],
)
def test_nonsense_in_the_depot_is_over_after_a_while(value: bytes) -> None:
    async def play() -> None:
        depot, clock = MemoryDepot(), Clock()
        await depot.create(_KEY, value)
        watcher = Leases(depot, clock=clock)
        assert await watcher.take(_NAME) is None
        clock.now += 80
        assert await watcher.take(_NAME) is not None

    asyncio.run(play())
