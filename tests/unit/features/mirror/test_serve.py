"""A front put together: from a real registry over HTTP to an answer, and stopped."""

import asyncio
import io
import json
import os
import signal
import threading
import urllib.request

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.mirror import serve
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.serve import Settings
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Registry


def test_a_package_goes_through_once(session, tmp_path):
    async def scene():
        with Registry() as registry:
            tarball = registry.add("left-pad", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                got = await ask(made.app, "/npm/left-pad/-/left-pad-1.0.0.tgz")
                assert (got.status, got.body, got.whole) == (200, tarball, True)
                again = await ask(made.app, "/npm/left-pad/-/left-pad-1.0.0.tgz")
                assert again.body == tarball
                assert again.headers["etag"] == got.headers["etag"]
                assert registry.paths() == ["/left-pad", "/left-pad/-/left-pad-1.0.0.tgz"]
                health = await ask(made.app, "/healthz")
                assert health.status == 200

    played(scene)


def test_it_listens_and_ends_with_a_signal(session, tmp_path):
    settings = Settings(
        store=str(tmp_path / "depot"),
        cache=tmp_path / "cache",
        listen="127.0.0.1:0",
        upstreams={"npm": "http://127.0.0.1:9/", "pypi": "http://127.0.0.1:9/"},
    )
    found = {}

    def ready(address):
        def asking():
            with urllib.request.urlopen(f"{address}/healthz") as answer:  # noqa: S310
                found["health"] = json.load(answer)
            os.kill(os.getpid(), signal.SIGTERM)

        found["address"] = address
        threading.Thread(target=asking).start()

    serve.serve(session, settings, ready, Events(io.StringIO()))
    assert found["health"] == {"status": "ok"}
    assert list((tmp_path / "cache" / "growing").iterdir()) == []


def test_a_port_that_is_taken_is_said(session, tmp_path):
    async def scene():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = Settings(str(tmp_path / "d"), tmp_path / "c", listen=f"127.0.0.1:{port}")
        with pytest.raises(NetworkError, match="Nothing can be listened to"):
            await serve._serve(session, settings, lambda _: None, Events(io.StringIO()))
        server.close()

    played(scene)
