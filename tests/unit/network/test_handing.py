"""Plain http handed to a proxy that gives no tunnel for it."""

import asyncio

import pytest

from pyodide_offline.network.proxies import parse
from tests.unit.network.forwarding import forwarding, head, origin, outbound

NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
DIGEST = b'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LATER = b"HTTP/1.1 100 Continue\r\n\r\n"


def proxy(heard: list[bytes], challenge: bytes = b"", password: bytes = b"", body: int = 0):
    """Refuse CONNECT; ask for a login where there is a challenge, then read and answer."""

    async def talk(reader, writer):
        while True:
            first = await head(reader)
            heard.append(first)
            if first.startswith(b"CONNECT"):
                writer.write(NO)
                continue
            given = b"\r\nProxy-Authorization: " in first
            if challenge and not (given and password in first):
                writer.write(
                    b"HTTP/1.1 407 Login\r\nProxy-Authenticate: %s\r\nContent-Length: 4\r\n"
                    b"\r\npage" % challenge
                )
                continue
            if body:
                writer.write(LATER)
                heard.append(await reader.readexactly(body))
            writer.write(OK)

    return talk


def through(port: int):
    return outbound(ways=[parse(f"http://me:secret@127.0.0.1:{port}", "HTTP_PROXY")])


def test_the_whole_url_and_a_login_and_the_next_time_at_once():
    heard: list[bytes] = []

    async def go():
        async with (
            origin(proxy(heard, b'Basic realm="r"')) as port,
            forwarding(through(port)) as scene,
        ):
            client = await scene.client()
            bodies = []
            for _ in range(2):
                _, body = await client.get("http://a.example/p?q", "X-CaSe: Y", "Host: x")
                bodies.append(body)
            return bodies, scene.said

    assert asyncio.run(go()) == ([b"ok", b"ok"], [])
    lines = [first.split(b"\r\n") for first in heard]
    assert [line[0].split(b" ")[0] for line in lines] == [b"CONNECT", b"GET", b"GET", b"GET"]
    assert lines[1] == [
        b"GET http://a.example/p?q HTTP/1.1",
        b"Host: a.example",
        b"X-CaSe: Y",
        b"",
        b"",
    ]
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in lines[2]
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in lines[3]


@pytest.mark.parametrize("framing", ["Content-Length: 4", "Transfer-Encoding: chunked"])
def test_a_body_waits_for_the_login_and_is_sent_once(framing):
    heard: list[bytes] = []
    sent = b"body" if "Length" in framing else b"4\r\nbody\r\n0\r\n\r\n"

    async def go():
        async with (
            origin(proxy(heard, DIGEST, body=len(sent))) as port,
            forwarding(through(port)) as scene,
        ):
            client = await scene.client()
            await client.ask("http://a.example:81/", framing, method="POST", body=sent)
            return await client.answer()

    assert asyncio.run(go())[1] == b"ok"
    _, asking, proving, body = heard
    assert asking.startswith(b"POST http://a.example:81/ HTTP/1.1\r\nHost: a.example:81\r\n")
    assert b"Expect: 100-continue" in asking
    assert b'Proxy-Authorization: Digest username="me"' in proving
    assert b'uri="http://a.example:81/"' in proving
    assert body == sent


def test_a_login_that_comes_too_late_for_a_body_is_said(monkeypatch):
    monkeypatch.setattr("pyodide_offline.network.exchange.EXPECTING", 0.0)

    async def talk(reader, writer):
        if (await head(reader)).startswith(b"CONNECT"):
            writer.write(NO)
        else:
            await reader.readexactly(4)
            writer.write(
                b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=r\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
        await reader.read()

    async def go():
        async with origin(talk) as port, forwarding(through(port)) as scene:
            client = await scene.client()
            await client.ask("http://a.example/", "Content-Length: 4", method="POST", body=b"body")
            assert await client.reader.read() == b""
            return scene.said

    (said,) = asyncio.run(go())
    assert "asked for a login too late" in said


def test_a_wrong_password_is_sent_once():
    heard: list[bytes] = []

    async def go():
        async with (
            origin(proxy(heard, b'Basic realm="r"', b"another")) as port,
            forwarding(through(port)) as scene,
        ):
            for _ in range(3):
                client = await scene.client()
                await client.ask("http://a.example/")
                assert await client.reader.read() == b""
            return scene.said

    (said,) = asyncio.run(go())
    assert "does not accept the user and password" in said
    assert sum(b"Proxy-Authorization" in first for first in heard) == 1
    assert "secret" not in said
