"""Old contents, leases and pieces go: not at once, and nothing that is named or in use."""

import asyncio
import hashlib
import json

import pytest

from pyodide_offline.errors import StorageError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.pruning import DAY_S, NOTED, Pruned, Pruning
from pyodide_offline.features.mirror.refs import Ref
from tests.peers.depots import MemoryDepot


@pytest.fixture(params=["memory", "folder"])
def depot(request, tmp_path):
    return MemoryDepot() if request.param == "memory" else FolderDepot(tmp_path / "depot")


async def _content(depot, body):
    key = names.blob_key("sha256", hashlib.sha256(body).hexdigest())
    await depot.create(key, body)
    return key


async def _name(depot, name, body):
    ref = Ref("npm-full", name, hashlib.sha256(body).hexdigest(), len(body), "a/b", 1)
    key = names.ref_key(ref.kind, ref.name)
    found = await depot.get(key)
    await depot.swap(key, ref.encode(), found[1] if found else None)
    return key


async def _run(depot, now, **how):
    return await Pruning(depot, clock=lambda: now).run(**how)


async def _there(depot, prefix=names.BLOBS):
    return sorted([entry.key async for entry in depot.list(prefix)])


def test_an_old_index_goes_after_a_day_and_what_is_named_stays(depot):
    async def play():
        await _content(depot, b"old")
        kept = await _content(depot, b"new")
        await _name(depot, "x", b"new")
        assert await _run(depot, 0) == Pruned(waiting=1)
        assert await _run(depot, DAY_S - 1) == Pruned(waiting=1)
        assert await _run(depot, DAY_S, dry=True) == Pruned(contents=1, size=3)
        assert await _run(depot, DAY_S) == Pruned(contents=1, size=3)
        assert await _there(depot) == [kept]
        assert await _run(depot, 2 * DAY_S) == Pruned()

    asyncio.run(play())


def test_the_run_that_sees_a_thing_first_never_removes_it(depot):
    async def play():
        await _content(depot, b"old")
        assert await Pruning(depot, age=0, clock=lambda: 5).run() == Pruned(waiting=1)
        assert await Pruning(depot, age=0, clock=lambda: 5).run() == Pruned(contents=1, size=3)

    asyncio.run(play())


def test_a_dry_run_notes_nothing(depot):
    async def play():
        await _content(depot, b"old")
        assert await _run(depot, 0, dry=True) == Pruned(waiting=1)
        assert await depot.get(NOTED) is None

    asyncio.run(play())


def test_what_got_a_name_meanwhile_begins_its_day_anew(depot):
    async def play():
        await _content(depot, b"old")
        await _run(depot, 0)
        await _name(depot, "x", b"old")
        assert await _run(depot, 2 * DAY_S) == Pruned()
        await _content(depot, b"new")
        await _name(depot, "x", b"new")
        assert await _run(depot, 3 * DAY_S) == Pruned(waiting=1)
        assert len(await _there(depot)) == 2

    asyncio.run(play())


def test_content_that_is_written_and_named_while_it_runs_stays(tmp_path):
    class Busy(MemoryDepot):
        async def list(self, prefix):
            async for entry in super().list(prefix):
                yield entry
            if prefix == names.BLOBS:
                await _name(self, "x", b"again")

    async def play():
        depot = Busy()
        await _content(depot, b"again")
        await MemoryDepot.swap(
            depot, NOTED, json.dumps(dict.fromkeys(depot.values, 0)).encode(), None
        )
        assert await _run(depot, 2 * DAY_S) == Pruned()
        assert len(await _there(depot)) == 1

    asyncio.run(play())


def test_leases_that_nobody_took_go_and_one_that_beats_stays(depot):
    async def play():
        leases = Leases(depot)
        for name in ("back", "dead"):
            lease = await leases.take(name)
            assert lease
            if name == "back":
                await lease.release()
        alive = await leases.take("alive")
        assert alive
        await depot.create("shares/x/wanted", b"1")
        assert await _run(depot, 0) == Pruned(waiting=4)
        await alive.beat()
        assert await _run(depot, DAY_S) == Pruned(leftovers=3, waiting=1)
        assert await _there(depot, names.LEASES) == [names.lease_key("alive")]
        assert await _there(depot, "shares/") == []
        assert await alive.beat()

    asyncio.run(play())


def test_nothing_goes_while_a_name_cannot_be_read(depot):
    async def play():
        old = await _content(depot, b"old")
        await _run(depot, 0)
        await depot.swap(names.ref_key("npm-full", "y"), b"no ref", None)
        with pytest.raises(StorageError, match="nothing is removed"):
            await _run(depot, 2 * DAY_S)
        assert await _there(depot) == [old]

    asyncio.run(play())


def test_notes_that_cannot_be_read_are_none(depot):
    async def play():
        await _content(depot, b"old")
        await depot.swap(NOTED, b"[1", None)
        assert await _run(depot, 0) == Pruned(waiting=1)
        assert await _run(depot, DAY_S) == Pruned(contents=1, size=3)

    asyncio.run(play())
