"""Requests and answers carried between two connections."""

import asyncio
import hashlib
import os

import pytest

from tests.unit.network.forwarding import forwarding, head, origin

LARGE = 20_000_000


def answering(answer: bytes, heard: list[bytes] | None = None):
    async def talk(reader, writer):
        while True:
            first = await head(reader)
            if heard is not None:
                heard.append(first)
            writer.write(answer)
            await writer.drain()

    return talk


def test_a_request_and_its_answer_in_their_order_and_case():
    heard: list[bytes] = []
    answer = (
        b"HTTP/1.1 302 Off You Go\r\nLocation: /elsewhere\r\nset-Cookie: a=1\r\nX-CaSe: Y\r\n"
        b"Set-Cookie: b=2\r\nKeep-Alive: timeout=5\r\nContent-Length: 4\r\n"
        b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00"
    )

    async def go():
        async with forwarding() as scene, origin(answering(answer, heard)) as port:
            client = await scene.client()
            fields = ("Host: evil", "CF-Worker: me.example", "x-CASE: a", "Cookie: c=1")
            return port, await client.get(f"http://127.0.0.1:{port}/p?q=%20", *fields)

    port, (first, body) = asyncio.run(go())
    assert heard == [
        f"GET /p?q=%20 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCF-Worker: me.example\r\n"
        "x-CASE: a\r\nCookie: c=1\r\n\r\n".encode()
    ]
    assert first == (
        b"HTTP/1.1 302 Off You Go\r\nLocation: /elsewhere\r\nset-Cookie: a=1\r\nX-CaSe: Y\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\n"
    )
    assert body == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize("size", [1, 3])
def test_bytes_in_tiny_pieces(size):
    """Cut anywhere, a request arrives as if it had come whole."""
    heard: list[bytes] = []

    async def talk(reader, writer):
        heard.append(await head(reader))
        heard.append(await reader.readexactly(12))
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            request = (
                f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                "\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
            ).encode()
            for place in range(0, len(request), size):
                client.writer.write(request[place : place + size])
                await client.writer.drain()
                await asyncio.sleep(0)
            return port, await client.answer()

    port, (_, body) = asyncio.run(go())
    assert body == b"abc"
    assert heard[0].startswith(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert heard[1] == b"2\r\nhi\r\n0\r\n\r\n"


def test_a_large_body_each_way_arrives_as_it_was():
    up, down = os.urandom(LARGE), os.urandom(LARGE)
    got = hashlib.sha256()

    async def talk(reader, writer):
        await head(reader)
        left = LARGE
        while left:
            data = await reader.read(min(left, 1 << 16))
            got.update(data)
            left -= len(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + down)
        await writer.drain()
        await reader.read()

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            url = f"http://127.0.0.1:{port}/"
            sending = client.ask(url, f"Content-Length: {LARGE}", method="POST", body=up)
            _, (_, body) = await asyncio.gather(sending, client.answer())
            return body

    assert asyncio.run(go()) == down
    assert got.digest() == hashlib.sha256(up).digest()


def test_a_part_is_passed_on_before_the_next_one_comes():
    """As server-sent events need it, in both directions at once."""

    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (size := int(await reader.readline(), 16)) > 0:
            data = await reader.readexactly(size + 2)
            writer.write(b"%x\r\n%s" % (size, data.upper()))
        await reader.readline()
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(
                f"http://127.0.0.1:{port}/", "Transfer-Encoding: chunked", method="POST"
            )
            await head(client.reader)
            for word in (b"one", b"three"):
                client.writer.write(b"%x\r\n%s\r\n" % (len(word), word))
                await client.reader.readline()
                assert await client.reader.readexactly(len(word) + 2) == word.upper() + b"\r\n"
            client.writer.write(b"0\r\n\r\n")
            return await client.chunks()

    assert asyncio.run(go()) == b""


def test_a_client_that_reads_slowly_holds_the_origin_back():
    written = 0

    async def talk(reader, writer):
        nonlocal written
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            writer.write(bytes(100_000))
            await writer.drain()
            written += 100_000

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            await head(client.reader)
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.3)
            held = written
            left = 100_000_000
            while left:
                left -= len(await client.reader.read(min(left, 1 << 20)))
            return held

    # What kernel and transports hold; loopback's buffers grow to some megabytes.
    assert asyncio.run(go()) < 30_000_000
    assert written == 100_000_000


def test_the_origin_hears_of_a_client_that_goes_away_while_all_is_quiet():
    async def go():
        gone = asyncio.Event()

        async def talk(reader, writer):
            await head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                await reader.read()
            finally:
                gone.set()

        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            await head(client.reader)
            client.writer.close()
            await gone.wait()

    asyncio.run(go())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["length", "chunks"],
)
def test_half_an_answer_is_not_passed_off_as_a_whole_one(answer):
    async def talk(reader, writer):
        await head(reader)
        writer.write(answer)

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            with pytest.raises((asyncio.IncompleteReadError, ValueError)):
                await client.answer()
            assert await client.reader.read() == b""
            return scene.said

    (said,) = asyncio.run(go())
    assert "in the middle of its answer" in said


def test_an_answer_that_ends_with_its_connection_is_whole():
    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nto the end")

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            return [await client.get(f"http://127.0.0.1:{port}/") for _ in range(2)]

    assert [body for _, body in asyncio.run(go())] == [b"to the end"] * 2


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ],
)
def test_answers_without_a_body_end_with_their_head(method, answer):
    async def go():
        async with forwarding() as scene, origin(answering(answer)) as port:
            client = await scene.client()
            seen = []
            for _ in range(2):
                await client.ask(f"http://127.0.0.1:{port}/", method=method)
                seen.append(await head(client.reader))
            return seen

    assert asyncio.run(go()) == [answer] * 2


def test_an_early_answer_ends_a_request_that_is_not_over():
    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            url = f"http://127.0.0.1:{port}/"
            await client.ask(url, "Content-Length: 1000000", method="POST", body=b"some")
            return await client.answer(), await client.reader.read()

    (first, body), after = asyncio.run(go())
    assert first.startswith(b"HTTP/1.1 413 Too Much\r\n")
    assert (body, after) == (b"no", b"")


def test_an_expected_100_does_not_stand_in_for_the_answer():
    async def talk(reader, writer):
        assert b"Expect: 100-continue" in await head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
        await reader.read()

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            fields = ("Content-Length: 4", "Expect: 100-continue")
            url = f"http://127.0.0.1:{port}/"
            await client.ask(url, *fields, method="POST", body=b"body")
            return await client.answer()

    first, body = asyncio.run(go())
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert body == b"body"


def test_trailers_come_through():
    answer = (
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
    )

    async def go():
        async with forwarding() as scene, origin(answering(answer)) as port:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            return await client.reader.readuntil(b"X-Sum: 7\r\n\r\n")

    assert asyncio.run(go()) == answer


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET ftp://x/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://x/ HT",
        b"GET http://x/" + b"x" * 400_000,
    ],
)
def test_what_is_no_request_to_a_proxy_is_closed_upon(nonsense):
    async def go():
        async with forwarding() as scene:
            client = await scene.client()
            client.writer.write(nonsense)
            client.writer.write_eof()
            return await client.reader.read(), scene.said

    assert asyncio.run(go()) == (b"", [])
