"""Alive, ready, degraded, stopping."""

import asyncio
import io
import json

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.health import Health


class Fragile(FolderDepot):
    down = False
    asked = 0

    async def head(self, key):
        self.asked += 1
        if self.down:
            raise DepotDownError("The store is down.")
        return await super().head(key)


@pytest.fixture
def events():
    return Events(io.StringIO())


def _told(reply):
    return reply.status, json.loads(reply.body)["status"]


def test_ready_as_long_as_it_is_not_stopping(tmp_path, events):
    async def play():
        health = Health(FolderDepot(tmp_path), events)
        before = await health.readiness()
        health.stopping = True
        return before, await health.readiness()

    before, after = asyncio.run(play())
    assert _told(before) == (200, "ok")
    assert _told(after) == (503, "stopping")


def test_a_store_that_is_down_degrades_and_is_told_once(tmp_path, events, monkeypatch):
    monkeypatch.setattr("pyodide_offline.features.mirror.health._FRESH_S", 0)

    async def play():
        depot = Fragile(tmp_path)
        health = Health(depot, events)
        depot.down = True
        found = [_told(await health.readiness()) for _ in range(3)]
        depot.down = False
        return found, _told(await health.readiness())

    found, after = asyncio.run(play())
    assert found == [(200, "degraded")] * 3
    assert after == (200, "ok")
    assert len(events.errors) == 1


def test_many_who_ask_at_once_are_one_question(tmp_path, events):
    async def play():
        depot = Fragile(tmp_path)
        health = Health(depot, events)
        await asyncio.gather(*(health.readiness() for _ in range(50)))
        return depot.asked

    assert asyncio.run(play()) == 1


def test_a_store_that_does_not_answer_is_not_waited_for(tmp_path, events, monkeypatch):
    monkeypatch.setattr("pyodide_offline.features.mirror.health._PATIENCE_S", 0.01)

    class Silent(FolderDepot):
        async def head(self, _):
            await asyncio.Event().wait()

    async def play():
        return _told(await Health(Silent(tmp_path), events).readiness())

    assert asyncio.run(play()) == (200, "degraded")
    assert "did not answer" in events.errors[0].what
