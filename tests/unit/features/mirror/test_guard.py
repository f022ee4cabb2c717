"""Who gets through to a mirror: forms, hosts, tokens, limits, and what is left of a request."""

import asyncio
import base64
import io
import json
from dataclasses import replace

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.mirror import tokens
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.guard import Guard, Rules, StalledError
from pyodide_offline.features.mirror.limits import Limits


class Front:
    """A guard around an app that keeps the scope it gets."""

    def __init__(self, rules=None, app=None):
        self.events = Events(io.StringIO())
        self.seen = []
        self.guard = Guard(app or self.app, rules or Rules(), self.events)

    async def app(self, scope, _, send):
        self.seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"well"})

    async def ask_async(
        self, path="/npm/x", method="GET", headers=(), host="localhost", take=None, body=b"", **more
    ):
        pairs = [(b"host", host.encode())] if host is not None else []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [*pairs, *headers],
            "client": ("192.0.2.7", 1),
            **more,
        }
        messages = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            if take:
                await take(message)
            messages.append(message)

        await self.guard(scope, receive, send)
        status = messages[0]["status"]
        said = b"".join(one.get("body", b"") for one in messages)
        return status, said, dict(messages[0]["headers"])

    def ask(self, *arguments, **named):
        return asyncio.run(self.ask_async(*arguments, **named))


def _code(body):
    return json.loads(body)["error"]["code"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"])
def test_a_mirror_is_only_read(method):
    front = Front()
    status, _, headers = front.ask(method=method)
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
    assert front.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "/../etc/passwd",
        "/npm/../../etc/passwd",
        "/npm/./x",
        "/npm/..",
        "/a\\..\\b",
        "/a\0b",
        "/a\r\nb",
        "/a\x7fb",
        "/a\udcffb",
    ],
)
def test_paths_that_cannot_be_ours(path):
    front = Front()
    assert front.ask(path)[0] == 400
    assert front.seen == []


def test_long_requests_are_refused():
    front = Front()
    assert front.ask("/" + "a" * 3000)[0] == 414
    assert front.ask(query_string=b"a" * 3000)[0] == 414
    assert front.ask(headers=[(b"x", b"a" * 40_000)])[0] == 431
    assert front.ask(headers=[(b"content-length", b"1000000")])[0] == 413
    assert front.ask(headers=[(b"content-length", b"-1")])[0] == 413
    assert front.ask(headers=[(b"transfer-encoding", b"chunked")])[0] == 400
    assert front.ask(headers=[(b"content-length", b"9" * 100)])[0] == 413
    assert front.seen == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "192.0.2.1:80",
        "[::1]:80",
        "mirror.test.",
        "[::1]",
    ],
)
def test_hosts_that_it_answers_to(host):
    assert Front(Rules(names=frozenset({"mirror.test"}))).ask(host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.test", "mirror.test.evil.test", "", "localhost:x", "[::1", "a b", None]
)
def test_hosts_that_it_does_not_answer_to(host):
    front = Front(Rules(names=frozenset({"mirror.test"})))
    status, body, _ = front.ask(host=host)
    assert (status, _code(body)) == (421, "host")


def test_two_hosts_are_none():
    assert Front().ask(headers=[(b"host", b"localhost")])[0] == 421


def test_no_token_is_needed_where_there_are_none():
    assert Front().ask("/metrics")[0] == 200


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "tokens.json"
    reader, admin = tokens.add(path, "r", "read"), tokens.add(path, "a", "admin")
    return Rules(tokens=tokens.Watched(path)), reader, admin


def _bearer(token):
    return [(b"authorization", f"Bearer {token}".encode())]


def test_a_token_and_its_role(book):
    rules, reader, admin = book
    front = Front(rules)
    status, body, headers = front.ask()
    assert (status, _code(body)) == (401, "token-missing")
    assert headers[b"www-authenticate"].startswith(b"Basic")
    assert front.ask(headers=_bearer(reader + "x"))[0] == 401
    assert front.ask(headers=_bearer(reader))[0] == 200
    basic = base64.b64encode(f"any:{reader}".encode())
    assert front.ask(headers=[(b"authorization", b"Basic " + basic)])[0] == 200
    for path in ("/", "/metrics"):
        assert front.ask(path, headers=_bearer(reader))[0] == 403
        assert front.ask(path, headers=_bearer(admin))[0] == 200
    assert front.ask("/healthz")[0] == 200


def test_bundles_are_open_only_where_the_operator_says_so(book):
    rules = book[0]
    assert Front(rules).ask("/x.capnp.bin")[0] == 401
    front = Front(replace(rules, open_bundles=True))
    assert front.ask("/x.capnp.bin")[0] == 200
    assert front.ask("/python-package-bucket/20250808/x.tar.gz")[0] == 200
    assert front.ask("/npm/x.capnp.bin")[0] == 401


def test_tokens_and_cookies_go_no_further(book):
    rules, reader, _ = book
    front = Front(rules)
    front.ask(headers=[*_bearer(reader), (b"cookie", b"a=b"), (b"accept", b"x")])
    assert [name for name, _ in front.seen[0]["headers"]] == [b"host", b"accept"]


def test_a_token_file_that_breaks_while_running_lets_nobody_in(book, monkeypatch):
    rules, reader, _ = book
    front = Front(rules)
    rules.tokens.path.write_text("{")
    rules.tokens._look_again = 0
    assert front.ask(headers=_bearer(reader))[0] == 401
    assert front.events.count("errors", part="tokens") == 1


def test_a_client_that_asks_too_often_waits_and_another_does_not():
    front = Front(Rules(Limits(rate=0.5, burst=2)))
    assert [front.ask()[0] for _ in range(3)] == [200, 200, 429]
    status, body, headers = front.ask()
    assert (status, _code(body), headers[b"retry-after"]) == (429, "rate", b"2")
    assert front.ask(client=("192.0.2.8", 1))[0] == 200
    assert front.events.count("refused", reason="rate") == 2


def test_behind_a_proxy_the_client_is_whom_the_proxy_names():
    rules = Rules(Limits(rate=0.001, burst=1), behind_proxy=True)
    front = Front(rules)
    forwarded = [[(b"x-forwarded-for", f"6.6.6.6, 192.0.2.{n}".encode())] for n in (1, 2, 2)]
    assert [front.ask(headers=one)[0] for one in forwarded] == [200, 200, 429]


def test_requests_under_way_are_limited_and_given_back():
    gate = asyncio.Event()

    async def app(scope, receive, send):
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    front = Front(Rules(Limits(rate=0, open_client=2, open_total=3)), app)

    async def play():
        waiting = [asyncio.create_task(front.ask_async()) for _ in range(2)]
        await asyncio.sleep(0)
        busy = await front.ask_async()
        other = asyncio.create_task(front.ask_async(client=("192.0.2.8", 1)))
        await asyncio.sleep(0)
        full = await front.ask_async(client=("192.0.2.9", 1))
        other.cancel()
        gate.set()
        done = [(await one)[0] for one in waiting]
        await asyncio.gather(other, return_exceptions=True)
        return busy[0], full[0], done, (await front.ask_async())[0]

    assert asyncio.run(play()) == (429, 503, [200, 200], 200)
    assert front.guard._meter.open == 0


def test_an_error_before_the_head_is_one_whole_answer():
    async def app(scope, receive, send):
        raise IntegrityError("Other bytes.")

    front = Front(app=app)
    status, body, _ = front.ask()
    assert (status, _code(body)) == (502, "integrity")
    assert front.events.errors[-1].where == "integrity"


def test_a_bug_is_told_to_the_log_and_not_to_the_client():
    async def app(scope, receive, send):
        raise ZeroDivisionError("in /srv/inside.py")

    front = Front(app=app)
    status, body, _ = front.ask()
    assert (status, _code(body)) == (500, "bug")
    assert b"inside" not in body
    assert "inside" in front.events.errors[-1].what


def test_an_error_after_the_head_breaks_the_answer_off():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise IntegrityError("Other bytes.")

    front = Front(app=app)
    with pytest.raises(ConnectionAbortedError):
        front.ask()
    assert front.events.count("responses", status="broken") == 1


def test_a_client_that_takes_nothing_is_left():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def take(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    front = Front(Rules(Limits(stall_s=0.01)), app)
    with pytest.raises(StalledError):
        front.ask(take=take)
    assert front.events.count("refused", reason="slow") == 1
    assert front.guard._meter.open == 0


def test_a_body_without_an_end_is_refused():
    async def app(scope, receive, send):
        while True:
            await receive()

    assert Front(app=app).ask(body=b"x" * 10_000)[0] == 413


def test_only_http_gets_in():
    front = Front()
    said = []

    async def receive():
        raise AssertionError

    async def send(message):
        said.append(message)

    asyncio.run(front.guard({"type": "websocket"}, receive, send))
    assert said == [{"type": "websocket.close", "code": 1008}]
