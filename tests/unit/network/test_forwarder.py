"""The local socket that workers' requests come to."""

import asyncio
import os
import stat
from pathlib import Path

from pyodide_offline.network.permits import Permits
from pyodide_offline.network.proxies import parse
from tests.unit.network.forwarding import forwarding, head, origin, outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def counting(connections: list[int], closing_after: int = 0):
    """Answer all requests of a connection, or close it when so many were answered."""

    async def talk(reader, writer):
        connections.append(0)
        mine = len(connections) - 1
        while True:
            await head(reader)
            connections[mine] += 1
            writer.write(OK)
            await writer.drain()
            if connections[mine] == closing_after:
                return

    return talk


def test_its_socket_is_for_this_user_alone_and_goes_with_it():
    async def go():
        async with forwarding() as scene:
            path = Path(scene.forwarder.path)
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert path.parent.stat().st_uid == os.getuid()
        return path.parent

    assert not asyncio.run(go()).exists()


def test_connections_to_an_origin_are_used_again_by_whoever_asks():
    connections: list[int] = []

    async def go():
        async with forwarding() as scene, origin(counting(connections)) as port:
            for _ in range(2):
                client = await scene.client()
                for _ in range(3):
                    first, _ = await client.get(f"http://127.0.0.1:{port}/")
                    assert first.startswith(b"HTTP/1.1 200")

    asyncio.run(go())
    assert connections == [6]


def test_a_get_on_a_connection_that_was_just_closed_is_sent_again():
    connections: list[int] = []

    async def talk(reader, writer):
        connections.append(0)
        mine = len(connections) - 1
        while await head(reader):
            connections[mine] += 1
            if connections[0] == 2 and mine == 0:
                return  # the second request is lost with the connection
            writer.write(OK)

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            return [await client.get(f"http://127.0.0.1:{port}/") for _ in range(3)], scene.said

    answers, said = asyncio.run(go())
    assert [body for _, body in answers] == [b"ok"] * 3
    assert (connections, said) == ([2, 2], [])


def test_what_changes_something_is_sent_once_and_on_a_connection_of_its_own():
    connections: list[int] = []

    async def go():
        async with forwarding() as scene, origin(counting(connections)) as port:
            client = await scene.client()
            for _ in range(2):
                await client.ask(f"http://127.0.0.1:{port}/", "Content-Length: 0", method="POST")
                await client.answer()

    asyncio.run(go())
    assert connections == [1, 1]


def test_an_origin_that_cannot_be_reached_closes_the_connection_and_is_said_once():
    async def go():
        async with forwarding() as scene, origin(counting([])) as port:
            pass
        async with forwarding() as scene:
            for _ in range(3):
                client = await scene.client()
                await client.ask(f"http://127.0.0.1:{port}/secret?token=abc")
                assert await client.reader.read() == b""
            return port, scene.said

    port, said = asyncio.run(go())
    assert said == [
        f"A worker's fetch failed: 127.0.0.1:{port} refuses the connection. "
        "No proxy is named for it. If this network needs a proxy, name it: "
        "export HTTPS_PROXY=http://host:port"
    ]


def test_an_origin_that_closes_without_an_answer_is_said():
    async def talk(reader, writer):
        await head(reader)

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            assert await client.reader.read() == b""
            return scene.said

    (said,) = asyncio.run(go())
    assert "broke off the connection before it answered" in said


def test_what_is_said_is_bounded():
    async def go():
        async with forwarding(outbound(Permits(()))) as scene:
            for number in range(150):
                client = await scene.client()
                await client.ask(f"http://127.0.0.1:{number + 1}/")
                assert await client.reader.read() == b""
            return len(scene.said)

    assert asyncio.run(go()) == 100


def test_a_password_of_the_proxy_is_not_said():
    async def go():
        async with origin(counting([])) as port:
            pass
        way = parse(f"http://me:s3cret@127.0.0.1:{port}", "HTTPS_PROXY")
        async with forwarding(outbound(ways=[way])) as scene:
            client = await scene.client()
            await client.ask("https://a.example/")
            await client.reader.read()
            return scene.said

    (said,) = asyncio.run(go())
    assert "refuses the connection" in said
    assert "s3cret" not in said


def test_a_tunnel_that_cannot_be_made_is_refused():
    async def go():
        async with forwarding(outbound(Permits())) as scene:
            client = await scene.client()
            await client.ask("127.0.0.1:5432", method="CONNECT")
            return await client.reader.read(), scene.said

    answer, said = asyncio.run(go())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert "127.0.0.1:5432 is not to be reached by workers" in said[0]


def test_many_at_once():
    async def talk(reader, writer):
        while request := await head(reader):
            path = request.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    async def go():
        async with forwarding() as scene, origin(talk) as port:

            async def one(number: int) -> bytes:
                client = await scene.client()
                _, body = await client.get(f"http://127.0.0.1:{port}/{number}")
                return body

            return await asyncio.gather(*map(one, range(200)))

    assert asyncio.run(go()) == [f"/{number}".encode() for number in range(200)]


def test_a_stop_ends_what_is_open():
    async def go():
        asked, over = asyncio.Event(), asyncio.Event()

        async def forever(reader, writer):
            await head(reader)
            asked.set()
            assert await reader.read() == b""
            over.set()

        async with origin(forever) as port, forwarding() as scene:
            client = await scene.client()
            await client.ask(f"http://127.0.0.1:{port}/")
            await asked.wait()
            await scene.forwarder.stop()
            await over.wait()
            return await client.reader.read()

    assert asyncio.run(go()) == b""
