"""A front as strangers meet it: fuzzed by its own description, asked in bad form, looked at."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pyodide_offline.features.browser import chromium
from tests.e2e.conftest import PROGRAM
from tests.peers import mirrors
from tests.peers.mirrors import Front
from tests.peers.registry import Answer, Registry

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CANARY = b"canary-that-lies-beside-the-store"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"  # noqa: E501


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        running.add("one", "1.0.0")
        yield running


@pytest.fixture(scope="module")
def front(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("a mirror")
    (folder / "canary").write_bytes(CANARY)
    (folder / "cache").mkdir()
    (folder / "cache" / "canary").write_bytes(CANARY)
    with mirrors.front(folder, _environ(folder), *_options(folder, registry)) as started:
        with urllib.request.urlopen(f"{started.url}/npm/one") as answer:  # noqa: S310
            assert json.load(answer)["name"] == "one"
        yield started


def _environ(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYODIDE_OFFLINE_")}
    return {**kept, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}


def _options(folder: Path, registry: Registry) -> list[str]:
    kinds = ("npm", "pypi", "bundles", "pyodide")
    named = [word for kind in kinds for word in ("--upstream", f"{kind}={registry.url}")]
    return [*named, "--signing-key", str(folder / "key"), "--rate", "0"]


def test_fuzzed_by_its_description_it_answers_as_that_says(front: Front, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "schemathesis"), "--no-color", "run",
         f"{front.url}/openapi.json", "--checks", CHECKS, "--max-examples", "12",
         "--suppress-health-check", "all", "--generation-deterministic", "--request-timeout", "30"],
        cwd=tmp_path, env=_environ(tmp_path), capture_output=True, encoding="utf-8", timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert " passed" in done.stdout.rpartition("Test cases:")[2]
    _lives(front)


# What no client library lets through: each is sent byte by byte as it stands.
HOSTILE = [
    "GET /../canary HTTP/1.1",
    "GET /../../../../../../../../etc/passwd HTTP/1.1",
    "GET /npm/../../canary HTTP/1.1",
    "GET /%2e%2e/canary HTTP/1.1",
    "GET /npm/%2e%2e%2f%2e%2e%2fcanary HTTP/1.1",
    "GET /npm/..%5c..%5ccanary HTTP/1.1",
    "GET /files/%2e%2e/canary HTTP/1.1",
    f"GET /files/{'0' * 64}/..%2f..%2fcanary HTTP/1.1",
    "GET /sha256/../../canary HTTP/1.1",
    "GET /pyodide/v1/full/..%2f..%2f..%2fcanary HTTP/1.1",
    "GET /pyodide/v%2e%2e/full/canary HTTP/1.1",
    "GET /canary%00.capnp.bin HTTP/1.1",
    "GET /..%2fcanary.capnp.bin HTTP/1.1",
    "GET //etc/passwd HTTP/1.1",
    "GET http://169.254.169.254/latest/meta-data HTTP/1.1",
    "GET http://127.0.0.1:22/ssh HTTP/1.1",
    "GET /npm/http:%2f%2f127.0.0.1:22%2f HTTP/1.1",
    "GET /%ff%fe%00 HTTP/1.1",
    "GET /% HTTP/1.1",
    "GET /%zz HTTP/1.1",
    "GET /\x01 HTTP/1.1",
    "GET * HTTP/1.1",
    "GET  HTTP/1.1",
    "CONNECT 127.0.0.1:22 HTTP/1.1",
    "BREW /npm/one HTTP/1.1",
    "GET /npm/one HTTP/9.9",
    "GET /npm/" + "a" * 70_000 + " HTTP/1.1",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "PRI * HTTP/2.0",
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_what_no_library_would_send(front: Front, line: str) -> None:
    said = _sent(front, f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert CANARY not in said
    assert b"root:" not in said
    if said.startswith(b"HTTP/1.1 "):  # else the server closed the connection
        assert 400 <= int(said.split(b" ")[1]) < 500, said[:200]
    _lives(front)


HEADERS = [
    "Host: evil.test",
    "Host: localhost\r\nHost: evil.test",
    "Host: localhost\r\nContent-Length: 999999999",
    "Host: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked",
    "Host: localhost\r\nX: " + "a" * 300_000,
    "Host: localhost" + "".join(f"\r\nX-{n}: 1" for n in range(2000)),
    "X-No-Host: 1",
]


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_nobody_honest_sends(front: Front, headers: str) -> None:
    request = f"GET /npm/one HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n".encode("latin-1")
    said = _sent(front, request)
    if said:
        assert 400 <= int(said.split(b" ")[1]) < 500, said[:200]
    _lives(front)


RANGES = ["bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=999999999999-", "bytes=-", "bytes=a-b",
          "bytes=0-1,3-4," + ",".join(f"{n}-{n}" for n in range(500)), "lines=1-2",
          "\xff"]  # fmt: skip


@pytest.mark.parametrize("value", RANGES, ids=range(len(RANGES)))
def test_odd_ranges(front: Front, value: str) -> None:
    request = (
        f"GET /npm/one/-/one-1.0.0.tgz HTTP/1.1\r\nHost: localhost\r\nRange: {value}\r\n"
        "Connection: close\r\n\r\n"
    )
    said = _sent(front, request.encode("latin-1"))
    assert int(said.split(b" ")[1]) in (200, 206, 400, 416), said[:200]


def test_a_connection_that_says_nothing_holds_up_nobody(front: Front) -> None:
    silent = [socket.create_connection(("127.0.0.1", front.port)) for _ in range(50)]
    try:
        for one in silent:
            one.sendall(b"GET / HT")
        _lives(front)
    finally:
        for one in silent:
            one.close()


def test_the_status_page_in_a_browser(front: Front) -> None:
    with chromium.opened(chromium.find(os.environ), os.environ) as page:
        page.open(f"{front.url}/")
        assert (
            page.wait("document.querySelector('h1')?.textContent", 60) == "pyodide-offline mirror"
        )
        text = page.ask("document.body.innerText")
        for shown in ("Hit rate", "What is held", "npm", "Upstreams", "Last errors", "127.0.0.1"):
            assert shown in text
        # The policy lets its style in, and no script, be it from the page's own console.
        width = "getComputedStyle(document.querySelector('main').parentElement).maxWidth"
        assert page.ask(width) == "960px"
        assert page.ask("document.querySelectorAll('script, link, img, iframe').length") == 0
        script = "(s => (s.textContent = 'window.ran = 1', document.body.append(s), window.ran))"
        assert page.ask(f"{script}(document.createElement('script'))") is None
        asked = {one.url for one in page.requests.values() if one.url.startswith("http")}
        assert {url for url in asked if not url.startswith(front.url)} == set()
        overflow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.ask(overflow)


def test_a_token_is_asked_for_once_there_is_one(registry: Registry, tmp_path: Path) -> None:
    environ = _environ(tmp_path)
    made = {
        role: subprocess.run(
            [PROGRAM, "mirror", "token", "add", role, "--role", role],
            env=environ, capture_output=True, text=True, check=True,
        ).stdout.strip()
        for role in ("read", "admin")
    }  # fmt: skip
    with mirrors.front(tmp_path / "m", environ, *_options(tmp_path, registry)) as started:
        statuses = {
            (path, role): _status(f"{started.url}{path}", token)
            for path in ("/npm/one", "/metrics", "/healthz")
            for role, token in {**made, "none": "", "wrong": "pom_0"}.items()
        }
        assert all(token not in "".join(started.log) for token in made.values())
    assert statuses == {
        ("/npm/one", "read"): 200, ("/npm/one", "admin"): 200,
        ("/npm/one", "none"): 401, ("/npm/one", "wrong"): 401,
        ("/metrics", "read"): 403, ("/metrics", "admin"): 200,
        ("/metrics", "none"): 401, ("/metrics", "wrong"): 401,
        ("/healthz", "read"): 200, ("/healthz", "admin"): 200,
        ("/healthz", "none"): 200, ("/healthz", "wrong"): 200,
    }  # fmt: skip


def test_a_front_that_is_told_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    bundle = os.urandom(40 << 20)  # more than sockets' buffers hold
    with Registry() as registry:
        registry.script("/large.capnp.bin", Answer(200, bundle))
        options = _options(tmp_path, registry)
        with mirrors.front(tmp_path / "m", _environ(tmp_path), *options) as started:
            with urllib.request.urlopen(f"{started.url}/large.capnp.bin") as answer:  # noqa: S310
                body = answer.read(10)
                started.process.send_signal(signal.SIGTERM)
                body += answer.read()
            assert body == bundle
            assert started.process.wait(30) == 0
    assert any('"stopping"' in line for line in started.log)


def _sent(front: Front, request: bytes) -> bytes:
    """Send bytes and return all that comes until the connection ends."""
    said = b""
    with closing(socket.create_connection(("127.0.0.1", front.port), timeout=60)) as line:
        try:
            line.sendall(request)
            while data := line.recv(65536):
                said += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    return said


def _status(url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _lives(front: Front) -> None:
    assert front.process.poll() is None
    with urllib.request.urlopen(f"{front.url}/healthz", timeout=60) as answer:  # noqa: S310
        assert json.load(answer) == {"status": "ok"}
