"""A front that is started while its store is down."""

import asyncio
import io
import json

import pytest

from pyodide_offline.errors import DepotDownError, UnsupportedError
from pyodide_offline.features.mirror import late, opening
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.late import LateDepot
from tests.peers import depot_rules
from tests.peers.depots import MemoryDepot
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Registry

PATH = "/npm/a/-/a-1.0.0.tgz"


async def _nothing():
    pass


def _later(*answers):
    """Return what opens a store: raises or returns these in turn."""
    left = list(answers)

    async def opened():
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return opened


def test_it_is_a_depot_once_it_is_there(tmp_path):
    async def play():
        made = LateDepot("memory")
        with pytest.raises(DepotDownError, match="did not answer yet"):
            await made.get("refs/a/b")
        with pytest.raises(DepotDownError):
            [_ async for _ in made.list("refs/")]
        opened = _later(DepotDownError("down"), DepotDownError("down"), MemoryDepot())
        await made.come(opened, _nothing, Events(io.StringIO()), pause=0)
        assert made.here
        await depot_rules.holds(made, tmp_path)
        await made.close()
        assert not made.here

    asyncio.run(play())


def test_what_a_front_does_first_is_tried_again_on_the_same_store():
    async def play():
        tries = []

        async def begin():
            tries.append(made.here)
            if len(tries) < 3:
                raise DepotDownError("down again")

        made = LateDepot("memory")
        await made.come(_later(MemoryDepot()), begin, Events(io.StringIO()), pause=0)
        assert tries == [True] * 3

    asyncio.run(play())


def test_a_store_that_may_not_be_used_stays_down():
    async def play():
        events, made = Events(io.StringIO()), LateDepot("memory")
        await made.come(_later(UnsupportedError("It lets all win.")), _nothing, events, pause=0)
        assert not made.here
        assert "lets all win" in str(events.errors[-1])

    asyncio.run(play())


def test_a_front_goes_on_with_its_own_disk_and_takes_the_store_when_it_is_there(
    session, tmp_path, monkeypatch
):
    """The store's own files are away meanwhile, too: what is served is the cache's."""
    down = False
    opened = opening.opened

    async def open_unless_down(*arguments, **named):
        if down:
            raise DepotDownError("The store does not answer.")
        return NotLocal(await opened(*arguments, **named))

    class NotLocal(LateDepot):
        def __init__(self, depot):
            super().__init__(depot.label)
            self._depot = depot

        async def local_path(self, key):  # noqa: ARG002
            return None

    monkeypatch.setattr(opening, "opened", open_unless_down)
    monkeypatch.setattr(late, "PAUSE_S", 0.02)

    async def scene():
        nonlocal down
        with Registry() as registry:
            tarball = registry.add("a", "1.0.0")
            registry.add("b", "1.0.0")
            other = registry.add("c", "1.0.0")
            where = {"upstreams": {"npm": registry.url}, "store": tmp_path / "depot"}
            async with front(session, tmp_path, **where) as made:
                assert (await ask(made.app, PATH)).body == tarball
                await made.pull.idle()
            down = True
            fetched = registry.paths().count("/a/-/a-1.0.0.tgz")
            async with front(session, tmp_path, **where) as made:
                assert (await ask(made.app, PATH)).body == tarball
                short = {"accept": "application/vnd.npm.install-v1+json"}
                index = await ask(made.app, "/npm/a", headers=short)
                assert "1.0.0" in json.loads(index.body)["versions"]
                assert registry.paths().count("/a/-/a-1.0.0.tgz") == fetched
                ready = await ask(made.app, "/readyz")
                assert (ready.status, json.loads(ready.body)["status"]) == (503, "waiting")
                assert (await ask(made.app, "/healthz")).status == 200
                assert (await ask(made.app, "/npm/b/-/b-1.0.0.tgz")).status == 503
                down = False
                while (await ask(made.app, "/readyz")).status != 200:
                    await asyncio.sleep(0.01)
                assert (await ask(made.app, "/npm/c/-/c-1.0.0.tgz")).body == other

    played(scene)


def test_a_front_that_never_served_from_the_store_is_not_started(session, tmp_path, monkeypatch):
    async def down(*_, **__):
        raise DepotDownError("The store does not answer.")

    monkeypatch.setattr(opening, "opened", down)

    async def scene():
        with pytest.raises(DepotDownError):
            async with front(session, tmp_path, store=tmp_path / "depot"):
                pass

    played(scene)
