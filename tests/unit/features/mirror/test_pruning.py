"""Old contents, leases and pieces go: not at once, and nothing that is named or in use."""

import asyncio
import hashlib
import io
import json

import pytest

from pyodide_offline.errors import DepotDownError, StorageError
from pyodide_offline.features.mirror import names, removal
from pyodide_offline.features.mirror.deposit import Deposit
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.pruning import DAY_S, NOTED, Pruned, Pruning
from pyodide_offline.features.mirror.refbook import Refbook
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


def _deposit(depot):
    return Deposit(Refbook(depot, Events(io.StringIO())), Leases(depot, term=0.05))


async def _put(depot, name, body, fetched=2):
    """Have a front bring content and name it."""
    ref = Ref("npm-full", name, hashlib.sha256(body).hexdigest(), len(body), "a/b", fetched)
    deposit = _deposit(depot)
    await deposit.bring(ref, body)
    await deposit.name(ref, body)


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
        left = [names.lease_key("alive"), names.lease_key(removal.RUN)]
        assert await _there(depot, names.LEASES) == left
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


class _Paused(MemoryDepot):
    """Lets something else happen in the midst of a run: after a listing, or before a removal."""

    def __init__(self, *, after="", before=""):
        super().__init__()
        self.after, self.before = after, before
        self.meanwhile = None

    async def list(self, prefix):
        async for entry in super().list(prefix):
            yield entry
        if prefix == self.after:
            await self._let()

    async def remove(self, key):
        if self.before and key.startswith(self.before):
            await self._let()
        await super().remove(key)

    async def _let(self):
        if self.meanwhile:
            something, self.meanwhile = self.meanwhile, None
            await something()


@pytest.mark.parametrize("when", ["as-names-were-listed", "as-it-is-removed"])
def test_content_that_gets_its_name_amid_a_run_is_there_afterwards(when):
    async def play():
        listed = when == "as-names-were-listed"
        depot = _Paused(after=names.REFS) if listed else _Paused(before=names.BLOBS)
        key = await _content(depot, b"again")
        await _run(depot, 0)
        naming = []

        async def front():
            naming.append(asyncio.create_task(_put(depot, "x", b"again")))
            for _ in range(20):  # as far as it gets while the run goes on
                await asyncio.sleep(0)

        depot.meanwhile = front
        await _run(depot, DAY_S)
        await naming[0]
        assert await _there(depot) == [key]
        assert await _run(depot, 3 * DAY_S) == Pruned()
        assert await _there(depot) == [key]

    asyncio.run(play())


def test_content_that_goes_between_being_found_and_being_named_is_put_there_again(depot):
    async def play():
        key = await _content(depot, b"again")
        await _run(depot, 0)
        deposit, ref = _deposit(depot), Ref("npm-full", "x", key[-64:], 5, "a/b", 2)
        await deposit.bring(ref, b"again")
        assert (await _run(depot, DAY_S)).contents == 1
        assert await _there(depot) == []
        await deposit.name(ref, b"again")
        assert await _there(depot) == [key]

    asyncio.run(play())


def test_a_lease_that_is_taken_as_it_goes_stays():
    async def play():
        depot = _Paused(before=names.LEASES)
        lease = await Leases(depot).take("back")
        assert lease
        await lease.release()
        await _run(depot, 0)
        taken = []

        async def front():
            taken.append(await Leases(depot).take("back"))

        depot.meanwhile = front
        assert (await _run(depot, DAY_S)).leftovers == 1
        assert taken == [None]  # it is not free, and a moment later not there
        assert await Leases(depot).take("back")

    asyncio.run(play())


def test_one_run_at_a_time_and_one_that_was_killed_is_over_soon(depot):
    async def play():
        await _content(depot, b"old")
        await _run(depot, 0)
        other = Leases(depot, term=0.2)
        lease = await other.take(removal.RUN)
        assert lease
        late = Pruning(depot, clock=lambda: DAY_S, leases=Leases(depot, term=0.2))
        async with lease:
            with pytest.raises(StorageError, match="at work"):
                await late.run()
            assert await late.run(dry=True) == Pruned(contents=1, size=3)
        assert await other.take(removal.RUN)  # and dies
        assert await late.run() == Pruned(contents=1, size=3)

    asyncio.run(play())


def test_what_a_killed_run_announced_is_taken_back_by_the_next(depot):
    async def play():
        await removal.announce(depot, ["blobs/x"])
        assert await _run(depot, 0, dry=True) == Pruned()
        assert await removal.announced(depot) == frozenset({"blobs/x"})
        assert await _run(depot, 0) == Pruned()
        assert await removal.announced(depot) == frozenset()

    asyncio.run(play())


def test_a_run_that_was_silent_for_too_long_removes_nothing_more():
    async def play():
        depot = _Paused(after=names.REFS)
        old = await _content(depot, b"old")
        await _run(depot, 0)

        async def another():
            key = names.lease_key(removal.RUN)
            await depot.swap(key, b"{}", depot.values[key][1])
            await asyncio.sleep(0.1)

        depot.meanwhile = another
        late = Pruning(depot, clock=lambda: DAY_S, leases=Leases(depot, term=0.1))
        with pytest.raises(DepotDownError, match="silent"):
            await late.run()
        assert await _there(depot) == [old]
        assert await removal.announced(depot) == frozenset(
            {old}
        )  # of the other run, for all it knows

    asyncio.run(play())


def test_a_store_that_goes_down_amid_a_run_is_told_and_the_next_run_goes_on():
    async def play():
        depot = _Paused(before=names.BLOBS)
        for body in (b"one", b"two"):
            await _content(depot, body)
        await _run(depot, 0)

        async def lose():
            depot.down = True

        depot.meanwhile = lose
        with pytest.raises(DepotDownError):
            await Pruning(depot, clock=lambda: DAY_S, leases=Leases(depot, term=0.1)).run()
        depot.down = False
        late = Pruning(depot, clock=lambda: DAY_S, leases=Leases(depot, term=0.1))
        done = await late.run()
        assert done.contents == 2
        assert await _there(depot) == []

    asyncio.run(play())
