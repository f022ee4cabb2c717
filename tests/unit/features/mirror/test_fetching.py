"""A fetch led by one front: taken over where it dies, alone where the store is down."""

import asyncio

from pyodide_offline.features.mirror import leases, names
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry

BODY = bytes(range(256)) * 2048
PATH = "/npm/a/-/a-1.0.0.tgz"


def test_the_lease_of_a_front_that_died_is_taken_over(session, tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "TERM_S", 0.3)

    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0", tarball=BODY)
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                dead = leases.Leases(made.depot, "dead", term=0.3)
                made.pull.leases.term = 0.3
                assert await dead.take("npm a/-/a-1.0.0.tgz")
                got = await ask(made.app, PATH)
                assert got.body == BODY

    played(scene)


def test_a_wrong_blob_in_the_store_is_dropped_and_fetched_again(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0", tarball=BODY)
            registry.script("/a/-/a-1.0.0.tgz", Answer(200, BODY))
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with front(session, tmp_path / "1", **where) as one:
                await ask(one.app, PATH)
                await one.pull.idle()
                held = one.pull.held("npm", "a/-/a-1.0.0.tgz")
                assert held
                key = names.blob_key("sha256", held.digest.hex)
                await one.depot.remove(key)
                await one.depot.create(key, b"x" * len(BODY))
            async with front(session, tmp_path / "2", **where) as two:
                assert (await ask(two.app, PATH)).body == BODY
                await two.pull.idle()
                assert b"".join([part async for part in two.depot.read(key)]) == BODY
            assert registry.paths().count("/a/-/a-1.0.0.tgz") == 2

    played(scene)


def test_a_body_that_is_judged_wrong_is_not_kept(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/p_1.capnp.bin", Answer(200, BODY))
            async with front(session, tmp_path, upstreams={"bundles": registry.url}) as made:
                await made.ledger.admit(
                    "bundle", "p_1.capnp.bin", {"p_1.capnp.bin": f"sha256:{'0' * 64}"}
                )
                got = await ask(made.app, "/p_1.capnp.bin")
                assert not (got.status == 200 and got.whole)
                await asyncio.sleep(0)
                assert made.pull.held("bundle", "p_1.capnp.bin") is None

    played(scene)
