"""An ASGI app asked without a server."""

import asyncio
import sys
import types
from typing import Any

import pytest

from pyodide_offline.features.browser.pages import bridge
from pyodide_offline.features.browser.pages.bridge import Site


def run(awaitable):
    return asyncio.run(awaitable)


def echo(seen):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["ready"] = True
            await send({"type": "lifespan.startup.complete"})
            return
        message = await receive()
        seen.append((scope, message["body"]))
        headers = [(b"Content-Type", b"text/plain"), (b"set-cookie", b"a=1; Path=/")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    return app


def test_a_request_as_an_app_sees_it_and_its_answer():
    seen: list[Any] = []
    site = Site(echo(seen))

    async def both():
        await site.start()
        return await site.ask("POST", "/z%C3%BCrich/a?x=%20#frag", [["X-One", "1"]], b"body")

    status, headers, body = run(both())
    assert (status, body) == (201, b"one two")
    assert ["content-type", "text/plain"] in headers
    ((scope, content),) = seen
    assert content == b"body"
    assert (scope["path"], scope["raw_path"]) == ("/zürich/a", b"/z%C3%BCrich/a")
    assert scope["query_string"] == b"x=%20"
    assert (b"x-one", b"1") in scope["headers"]
    assert scope["state"] == {"ready": True}


def test_cookies_come_back():
    seen: list[Any] = []
    site = Site(echo(seen))

    async def twice():
        for _ in range(2):
            await site.ask("GET", "/", [], b"")

    run(twice())
    assert (b"cookie", b"a=1") in seen[1][0]["headers"]
    assert not [one for one in seen[0][0]["headers"] if one[0] == b"cookie"]


def test_an_app_without_lifespan_starts():
    async def app(scope, receive, send):
        raise AssertionError(scope["type"])

    run(Site(app).start())


def test_an_app_that_fails_to_start_says_why():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        run(Site(app).start())


def test_an_app_is_found_by_name_and_gets_no_threads(monkeypatch):
    to_thread = types.ModuleType("anyio.to_thread")
    module = types.ModuleType("mine")
    vars(module)["api"] = types.SimpleNamespace(app="it")
    monkeypatch.setitem(sys.modules, "anyio", types.ModuleType("anyio"))
    monkeypatch.setitem(sys.modules, "anyio.to_thread", to_thread)
    monkeypatch.setitem(sys.modules, "mine", module)
    assert bridge.find("mine:api.app") == "it"
    assert run(to_thread.run_sync(lambda a: a + 1, 1, limiter=None)) == 2
