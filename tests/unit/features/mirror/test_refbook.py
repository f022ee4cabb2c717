"""Refs in a depot and in memory: later ones stay, a depot that is down is gone without."""

import io
from dataclasses import replace

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from tests.peers.depots import MemoryDepot
from tests.peers.fronts import played

REF = Ref("npm", "a", "ab" * 32, 5, "text/plain", 100)


def book(depot, most=100):
    return Refbook(depot, Events(io.StringIO()), most)


def test_what_one_front_publishes_another_reads():
    async def scene():
        depot = MemoryDepot()
        assert await book(depot).publish(REF) == REF
        other = book(depot)
        assert other.known("npm", "a") is None
        assert await other.read("npm", "a") == REF
        assert other.known("npm", "a") == REF
        assert await other.read("npm", "b") is None

    played(scene)


def test_an_older_one_does_not_replace_a_later_one():
    async def scene():
        depot = MemoryDepot()
        later = replace(REF, fetched=200, digest="cd" * 32)
        await book(depot).publish(later)
        assert await book(depot).publish(REF) == later
        newest = replace(REF, fetched=300)
        assert await book(depot).publish(newest) == newest
        assert await book(depot).read("npm", "a") == newest

    played(scene)


def test_a_depot_that_is_down_is_gone_without():
    async def scene():
        depot = MemoryDepot()
        first = book(depot)
        await first.publish(REF)
        depot.down = True
        assert await first.read("npm", "a") == REF
        with pytest.raises(DepotDownError):
            await first.read("npm", "b")
        with pytest.raises(DepotDownError):
            await first.publish(replace(REF, name="c"))
        assert first.known("npm", "c")

    played(scene)


def test_a_damaged_ref_counts_as_none_and_is_replaced():
    async def scene():
        depot = MemoryDepot()
        await depot.create(names.ref_key("npm", "a"), b"rubbish")
        assert await book(depot).read("npm", "a") is None
        assert await book(depot).publish(REF) == REF
        assert await book(depot).read("npm", "a") == REF

    played(scene)


def test_memory_is_bounded():
    first = book(MemoryDepot(), most=2)
    for name in "abc":
        first.remember(replace(REF, name=name))
    assert [name for name in "abc" if first.known("npm", name)] == ["b", "c"]
