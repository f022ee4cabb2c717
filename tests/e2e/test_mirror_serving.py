"""Fronts as people start them: crowds, a poisoned upstream, TLS, a socket file, nginx, the end."""

import asyncio
import hashlib
import http.client
import os
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest
import trustme

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import opening
from tests.peers.crowd import NAME, PATH, Fronts, crowd, upstream
from tests.peers.nginx import nginx
from tests.peers.stores import seaweedfs

pytestmark = pytest.mark.e2e

BODY = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seaweed")
    with seaweedfs(folder) as running:
        asyncio.run(_warmed(running, folder))
        yield running


async def _warmed(store, folder):
    """Have a store begin its first volume, which takes so long that a writer may give up."""
    for attempt in range(5):
        try:
            depot = await opening.opened(store.url(prefix="warm"), store.environ, folder)
        except DepotDownError:
            if attempt == 4:
                raise
        else:
            await depot.close()
            return


@pytest.fixture
def seaweed(store, request):
    """A part of the store for one test alone."""
    return store.url(prefix=request.node.name.replace("_", "-")[:40])


def test_a_crowd_at_three_fronts_is_one_fetch(tmp_path, store, seaweed):
    with (
        upstream(tmp_path, BODY, seconds=3) as slow,
        Fronts(tmp_path, seaweed, slow.url, 3, store.environ) as fronts,
    ):
        seen = crowd([f"{one}{PATH}" for one in fronts.urls], 90, BODY)
        assert all(one.whole and one.right for one in seen)
        assert slow.count == 1


def test_a_poisoned_upstream_reaches_none_of_a_crowd(tmp_path, store, seaweed):
    wrong = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with (
        upstream(tmp_path, wrong, seconds=2, promised=BODY) as slow,
        Fronts(tmp_path, seaweed, slow.url, 3, store.environ) as fronts,
    ):
        seen = crowd([f"{one}{PATH}" for one in fronts.urls], 90, BODY)
        assert not [one for one in seen if one.whole]
        assert any(one.size for one in seen)
        assert slow.count <= 3


def test_a_request_under_way_ends_well_when_the_front_is_stopped(tmp_path):
    with (
        upstream(tmp_path, BODY, seconds=2) as slow,
        Fronts(tmp_path, str(tmp_path / "depot"), slow.url) as fronts,
    ):
        (url,), (child,) = fronts.urls, fronts.children

        async def scene():
            task = asyncio.create_task(asyncio.to_thread(crowd, [url + PATH], 1, BODY))
            while not await asyncio.to_thread(lambda: slow.count):
                await asyncio.sleep(0.05)
            child.send_signal(signal.SIGTERM)
            return await task

        (seen,) = asyncio.run(scene())
        assert seen.whole
        assert seen.right
        assert child.wait(20) == 0


def test_https(tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "pyodide-capnp-bin.edgeworker.net")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    arguments = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(tmp_path, str(tmp_path / "depot"), slow.url, arguments=arguments) as fronts,
    ):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        (url,) = fronts.urls
        assert url.startswith("https://")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        for _ in range(2):  # as it grows, and as it is held
            with opener.open(url + PATH) as answer:
                assert answer.read() == BODY


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def test_a_socket_file(tmp_path):
    path = str(tmp_path / "mirror.sock")
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(tmp_path, str(tmp_path / "depot"), slow.url, listen=f"unix:{path}") as fronts,
    ):
        assert fronts.urls == [f"unix:{path}"]
        connection = _Unix(path)
        connection.request("GET", PATH)
        assert connection.getresponse().read() == BODY
        connection.close()
    assert not os.path.exists(path)  # noqa: PTH110


def test_nginx_sends_what_the_front_names(tmp_path):
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(
            tmp_path,
            str(tmp_path / "depot"),
            slow.url,
            arguments=["--x-accel", f"/held/={tmp_path / 'depot'}"],
        ) as fronts,
    ):
        (front,) = fronts.urls
        servers = (
            f"server {{ listen 127.0.0.1:PORT;"
            f"location / {{ proxy_pass {front}; proxy_set_header Host $http_host; }}"
            f"location /held/ {{ internal; alias '{tmp_path}/depot/'; }} }}"
        )
        with nginx(tmp_path / "nginx", servers) as peer:
            url = peer + PATH
            for _ in range(3):
                (seen,) = crowd([url], 1, BODY)
                assert (seen.status, seen.right) == (200, True)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            asked = urllib.request.Request(url, headers={"Range": "bytes=5-9"})  # noqa: S310
            with opener.open(asked) as answer:
                assert (answer.status, answer.read()) == (206, BODY[5:10])


def test_a_front_that_starts_while_its_store_is_down_serves_what_its_disk_has(tmp_path, store):
    def status(url):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{url}/readyz") as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    where = store.url(prefix="late")
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(tmp_path, where, slow.url, environ=store.environ) as fronts,
    ):
        (seen,) = crowd([fronts.urls[0] + PATH], 1, BODY)
        assert seen.right
        held = f"{fronts.urls[0]}/sha256/{hashlib.sha256(BODY).hexdigest()}"
        while not crowd([held], 1, BODY)[0].right:
            time.sleep(0.05)
        fronts.children[0].send_signal(signal.SIGTERM)
        assert fronts.children[0].wait(20) == 0
        fetches = slow.count
        store.kill()
        try:
            fronts.start(0)
            url = fronts.urls[-1]
            (seen,) = crowd([url + PATH], 1, BODY)
            assert (seen.right, slow.count, status(url)) == (True, fetches, 503)
        finally:
            store.start(90)
        deadline = time.monotonic() + 90
        while status(url) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (seen,) = crowd([url + PATH.replace(NAME, f"{NAME}2")], 1, BODY)
        assert seen.right
