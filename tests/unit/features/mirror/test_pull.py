"""Files: held, growing or missed; once in a process, once in a fleet; without a depot, a disk."""

import asyncio
import threading
import time

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, OfflineError
from pyodide_offline.features.mirror import names, refs, sharing
from pyodide_offline.features.mirror.npm import SHORT
from pyodide_offline.features.mirror.wanted import Held, Want
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry, integrity

BODY = bytes(range(256)) * 2048
PATH = "/npm/a/-/a-1.0.0.tgz"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sharing, "_FAILURE_STANDS", 0.3)


def upstream(registry, body=BODY, **answer):
    registry.add("a", "1.0.0", tarball=body)
    registry.script("/a/-/a-1.0.0.tgz", Answer(200, body, **answer))


def fetches(registry):
    return registry.paths().count("/a/-/a-1.0.0.tgz")


async def many(apps, count):
    return await asyncio.gather(*(ask(apps[n % len(apps)], PATH) for n in range(count)))


def test_a_stampede_on_one_front_is_one_fetch(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                answers = await many([made.app], 100)
                assert all(one.body == BODY and one.whole for one in answers)
                assert fetches(registry) == 1
                await settled(made)

    played(scene)


def test_a_stampede_on_three_fronts_is_one_fetch_and_the_others_see_it_grow(session, tmp_path):
    async def scene():
        hold = threading.Event()
        with Registry() as registry:
            upstream(registry, hold=hold)
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with (
                front(session, tmp_path / "1", **where) as one,
                front(session, tmp_path / "2", **where) as two,
                front(session, tmp_path / "3", **where) as three,
            ):
                fronts = [one, two, three]
                task = asyncio.create_task(many([each.app for each in fronts], 60))
                half = len(BODY) // 2

                def growing():
                    return [file.size for each in fronts for file in each.pull._growing.values()]

                # Every front has what the upstream sent, while the upstream is not done.
                while len(growing()) < 3 or min(growing()) < half - (64 << 10):
                    await asyncio.sleep(0.02)
                hold.set()
                answers = await task
                assert all(got.body == BODY and got.whole for got in answers)
                assert fetches(registry) == 1

    played(scene)


def test_a_poisoned_upstream_reaches_nobody_and_is_not_kept(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0", tarball=BODY)
            registry.script("/a/-/a-1.0.0.tgz", Answer(200, BODY[:-1] + b"x"))
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with (
                front(session, tmp_path / "1", **where) as one,
                front(session, tmp_path / "2", **where) as two,
            ):
                answers = await many([one.app, two.app], 60)
                assert not [got for got in answers if got.status == 200 and got.whole]
                assert not [1 async for _ in one.depot.list("refs/npm/")]
                # The next good one works, once what failed stands no more.
                registry.script("/a/-/a-1.0.0.tgz", Answer(200, BODY))
                for each in (one, two):
                    await each.pull.idle()
                    each.pull._failed._errors.clear()
                answers = await many([one.app, two.app], 10)
                assert all(got.body == BODY for got in answers)

    played(scene, 60)


def test_a_front_whose_depot_is_down_fetches_and_goes_on(session, tmp_path, monkeypatch):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                await ask(made.app, "/npm/a", headers={"accept": SHORT})
                broken(made.depot, monkeypatch)
                assert (await ask(made.app, PATH)).body == BODY
                await made.pull.idle()
                assert (await ask(made.app, PATH)).path  # out of the cache
                assert fetches(registry) == 1

    played(scene)


def broken(depot, monkeypatch):
    from pyodide_offline.errors import DepotDownError

    async def down(*_arguments, **_more):
        raise DepotDownError("The store is down.")

    for name in ("head", "get", "create", "swap", "remove", "local_path"):
        monkeypatch.setattr(depot, name, down)


def test_a_lost_blob_is_fetched_again(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                await ask(made.app, PATH)
                held = await settled(made)
                held.path.unlink()
                await made.depot.remove(names.blob_key("sha256", held.digest.hex))
                assert (await ask(made.app, PATH)).body == BODY
                assert fetches(registry) == 2

    played(scene)


def test_content_that_is_wanted_by_its_digest_gets_the_name(session, tmp_path):
    """What has no name is removed one day (`pruning`), though it were wanted each morning."""

    async def scene():
        digest = digests.of_bytes(BODY)
        want = Want("pypi", "x/a.whl", [], digest, "a/b", len(BODY))
        async with front(session, tmp_path, offline=True) as made:
            await made.depot.create(names.blob_key("sha256", digest.hex), BODY)
            held = await made.pull.file(want)
            assert isinstance(held, Held)
            assert held.path.read_bytes() == BODY
            found = await made.depot.get(names.ref_key("pypi", "x/a.whl"))
            assert found
            assert refs.decode(found[0], "pypi", "x/a.whl").digest == digest.hex

    played(scene)


async def settled(made):
    await made.pull.idle()
    held = made.pull.held("npm", "a/-/a-1.0.0.tgz")
    assert held
    return held


def test_a_second_front_takes_it_from_the_depot(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with front(session, tmp_path / "1", **where) as one:
                await ask(one.app, PATH)
                await settled(one)
            async with front(session, tmp_path / "2", offline=True, **where) as two:
                assert (await ask(two.app, PATH)).body == BODY
            assert fetches(registry) == 1

    played(scene)


def test_offline_asks_nobody(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(
                session, tmp_path, upstreams={"npm": registry.url}, offline=True
            ) as made:
                got = await ask(made.app, PATH)
                assert got.status == 404
                assert b"offline" in got.body
                assert registry.paths() == []

    played(scene)


def test_what_failed_is_not_asked_for_again_at_once(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0", tarball=BODY)
            registry.script("/a/-/a-1.0.0.tgz", Answer(404))
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                for _ in range(5):
                    assert (await ask(made.app, PATH)).status == 404
                assert fetches(registry) == 1

    played(scene)


def test_an_accepted_change_is_another_file(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(session, tmp_path, upstreams={"npm": registry.url}, fresh=0) as made:
                await ask(made.app, PATH)
                await settled(made)
                other = BODY[::-1]
                upstream(registry, other)
                await made.ledger.accept("npm", "a", "1.0.0", integrity(other))
                await ask(
                    made.app, "/npm/a", headers={"accept": "application/vnd.npm.install-v1+json"}
                )
                assert (await ask(made.app, PATH)).body == other
                await settled(made)
                assert (await ask(made.app, PATH)).body == other

    played(scene)


async def _want(made, name, file):
    return await made.npm.want(name, file)


def test_whole_waits_and_raises(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry, BODY)
            registry.script("/a/-/a-1.0.0.tgz", Answer(200, BODY[::-1]))
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                want = await _want(made, "a", "a-1.0.0.tgz")
                with pytest.raises(IntegrityError):
                    await made.pull.whole(want)
                await made.pull.idle()
                upstream(registry)
                made.pull._failed.forget(want.key)
                assert (await made.pull.whole(want)).size == len(BODY)
            async with front(session, tmp_path / "x", offline=True) as alone:
                with pytest.raises(OfflineError):
                    await alone.pull.file(want)

    played(scene)


def test_stopping_ends_what_is_under_way(session, tmp_path):
    async def scene():
        hold = threading.Event()
        with Registry() as registry:
            upstream(registry, hold=hold)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                task = asyncio.create_task(ask(made.app, PATH))
                while not made.pull.under_way:
                    await asyncio.sleep(0.01)
                began = time.monotonic()
                await made.pull.close()
                got = await task
                assert not (got.status == 200 and got.whole)
                assert time.monotonic() - began < 5
                hold.set()

    played(scene)


def test_idle_waits_until_what_came_is_published(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstream(registry)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                await made.pull.idle()
                await many([made.app], 1)
                await made.pull.idle()
                assert made.pull.under_way == 0
                async with front(session, tmp_path / "2", store=tmp_path / "depot") as other:
                    got = await ask(other.app, PATH)
                    assert got.body == BODY
            assert fetches(registry) == 1

    played(scene)
