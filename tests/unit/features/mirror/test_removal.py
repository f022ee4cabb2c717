"""What is announced to go, as fronts read it."""

import asyncio

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import removal
from tests.peers.depots import MemoryDepot


def test_what_is_announced_replaces_what_was():
    async def play():
        depot = MemoryDepot()
        assert await removal.announced(depot) is None
        await removal.announce(depot, ())
        assert await removal.announced(depot) is None  # nothing ever went: nobody need look
        await removal.announce(depot, ["a", "b"])
        assert await removal.announced(depot) == frozenset({"a", "b"})
        await removal.announce(depot, ["c"])
        await removal.announce(depot, ["c"])
        assert await removal.announced(depot) == frozenset({"c"})
        await removal.announce(depot, ())
        assert await removal.announced(depot) == frozenset()

    asyncio.run(play())


def test_an_answer_that_gets_lost_is_looked_up():
    class Forgetful(MemoryDepot):
        async def swap(self, key, value, etag):
            await super().swap(key, value, etag)

    async def play():
        depot = Forgetful()
        await removal.announce(depot, ["a"])
        assert await removal.announced(depot) == frozenset({"a"})

    asyncio.run(play())


def test_a_store_that_does_not_keep_it_is_told():
    class Deaf(MemoryDepot):
        async def swap(self, *_):
            return None

    with pytest.raises(DepotDownError, match="announced"):
        asyncio.run(removal.announce(Deaf(), ["a"]))


def test_what_cannot_be_read_announces_nothing():
    async def play():
        depot = MemoryDepot()
        await depot.swap(removal.ANNOUNCED, b"5", None)
        assert await removal.announced(depot) == frozenset()

    asyncio.run(play())
