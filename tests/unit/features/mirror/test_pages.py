"""The front's own pages, asked as a server would."""

import asyncio
import io
import json

from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.health import Health
from pyodide_offline.features.mirror.pages import pages


def _asked(tmp_path, path):
    messages = []

    async def receive():
        raise AssertionError

    async def send(message):
        messages.append(message)

    async def play():
        depot, events = FolderDepot(tmp_path), Events(io.StringIO())
        events.hit("npm")
        made = pages(depot, events, Health(depot, events))
        await made[path]({"type": "http", "method": "GET", "path": path}, receive, send)

    asyncio.run(play())
    return messages[0]["status"], dict(messages[0]["headers"]), messages[1]["body"]


def test_health_and_readiness(tmp_path):
    for path in ("/healthz", "/readyz"):
        status, headers, body = _asked(tmp_path, path)
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert headers[b"cache-control"] == b"no-store"


def test_metrics(tmp_path):
    _, headers, body = _asked(tmp_path, "/metrics")
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b'pyodide_offline_mirror_hits_total{kind="npm"} 1.0' in body


def test_the_page_has_its_policy(tmp_path):
    status, headers, body = _asked(tmp_path, "/")
    assert status == 200
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert b"100.0%" in body


def test_the_interface(tmp_path):
    assert json.loads(_asked(tmp_path, "/openapi.json")[2])["openapi"] == "3.1.0"
