"""Indexes: fresh ones are not asked for, one front asks, validators, and what happens in need."""

import asyncio
import json
from dataclasses import replace
from hashlib import sha256

import pytest

from pyodide_offline.errors import OfflineError
from pyodide_offline.features.mirror import removal
from pyodide_offline.features.mirror.names import blob_key, ref_key
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry


def packument(version="1.0.0"):
    dist = {
        "tarball": f"http://x.example/a-{version}.tgz",
        "integrity": "sha512-" + "A" * 86 + "==",
    }
    return json.dumps(
        {"name": "a", "versions": {version: {"version": version, "dist": dist}}}
    ).encode()


def test_a_fresh_one_is_not_asked_for(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument()))
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                await asyncio.gather(*(ask(made.app, "/npm/a") for _ in range(20)))
                await ask(made.app, "/npm/a")
                assert registry.paths() == ["/a"]

    played(scene)


def test_two_fronts_ask_once(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument()))
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with (
                front(session, tmp_path / "1", **where) as one,
                front(session, tmp_path / "2", **where) as two,
            ):
                answers = await asyncio.gather(*(ask(each.app, "/npm/a") for each in (one, two)))
                assert answers[0].body == answers[1].body
                assert registry.paths() == ["/a"]

    played(scene)


def test_an_old_one_is_asked_for_with_its_validator(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script(
                "/a",
                Answer(200, packument(), {"ETag": '"e"'}),
                Answer(304),
                Answer(200, packument("2.0.0")),
            )
            async with front(session, tmp_path, upstreams={"npm": registry.url}, fresh=0) as made:
                first = await ask(made.app, "/npm/a")
                second = await ask(made.app, "/npm/a")
                third = await ask(made.app, "/npm/a")
                assert first.body == second.body
                assert b"2.0.0" in third.body
                tags = [one.headers.get("if-none-match") for one in registry.requests]
                assert tags == [None, '"e"', '"e"']

    played(scene)


def test_one_that_has_not_changed_is_in_the_store_also_when_it_was_about_to_go(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument(), {"ETag": '"e"'}), Answer(304))
            async with front(session, tmp_path, upstreams={"npm": registry.url}, fresh=0) as made:
                first = await ask(made.app, "/npm/a")
                key = blob_key("sha256", sha256(packument()).hexdigest())
                await removal.announce(made.depot, [key])
                await made.depot.remove(key)
                assert (await ask(made.app, "/npm/a")).body == first.body
                assert registry.paths() == ["/a", "/a"]
                assert await made.depot.head(key) is not None

    played(scene)


def test_an_upstream_that_is_silent_is_left_alone_for_a_while(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument()), Answer(404))
            async with front(session, tmp_path, upstreams={"npm": registry.url}, fresh=0) as made:
                await ask(made.app, "/npm/a")
                for _ in range(5):
                    got = await ask(made.app, "/npm/a")
                    assert got.status == 200
                    assert "warning" in got.headers
                assert registry.paths() == ["/a", "/a"]
                assert made.events.count("stale") == 5

    played(scene)


def test_another_front_has_it_without_an_upstream(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument()))
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with front(session, tmp_path / "1", **where) as one:
                body = (await ask(one.app, "/npm/a")).body
            async with front(session, tmp_path / "2", offline=True, fresh=0, **where) as two:
                got = await ask(two.app, "/npm/a")
                assert (got.status, got.body) == (200, body)
                assert "offline" in got.headers["warning"]
                got = await ask(two.app, "/npm/b")
                assert got.status == 404

    played(scene)


def test_offline_says_so(session, tmp_path):
    async def scene():
        async with front(session, tmp_path, offline=True) as made:
            with pytest.raises(OfflineError):
                await made.npm.want("a", "a-1.tgz")

    played(scene)


def test_an_index_that_somebody_put_into_the_store_is_not_given_out(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, packument()), Answer(200, packument()))
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with front(session, tmp_path / "1", **where) as made:
                honest = await ask(made.app, "/npm/a")
                known = made.pull.refbook.known("npm-full", "a")
                assert known is not None
                forged = packument("6.6.6")
                digest = sha256(forged).hexdigest()
                await made.depot.create(blob_key("sha256", digest), forged)
                put = replace(known, digest=digest, size=len(forged), fetched=known.fetched + 1)
                key = ref_key("npm-full", "a")
                there = await made.depot.get(key)
                assert there is not None
                assert await made.depot.swap(key, put.encode(), there[1])
            async with front(session, tmp_path / "2", **where) as made:
                got = await ask(made.app, "/npm/a")
                assert got.status == 200
                assert b"6.6.6" not in got.body
                assert got.body == honest.body
                assert any("nobody pinned" in one.what for one in made.events.errors)
            async with front(session, tmp_path / "3", offline=True, **where) as made:
                assert b"6.6.6" not in (await ask(made.app, "/npm/a")).body

    played(scene)
