"""Listeners, names, statistics and the stop, with a dialer that is scripted."""

import asyncio
import resource
import socket
import time
from contextlib import asynccontextmanager

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import ports, tunnel
from pyodide_offline.network.plane import Far
from pyodide_offline.network.targets import Group, Target
from pyodide_offline.network.tunnel import Statistics, Tunnel
from tests.unit.network.planes import PLANES, End
from tests.unit.network.test_hello import client_hello

A, B = Target("a.example", 443), Target("b.example", 443)


@pytest.fixture(params=PLANES)
def spliced(request):
    return request.param == "splice"


@asynccontextmanager
async def running(*targets, spliced=None, dial=None, **more):
    """A tunnel to a far host that answers a line with its target's name and that line."""
    said: list[str] = []

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=2000)

    async def plain(target):
        far = socket.socket()
        far.setblocking(False)
        await asyncio.get_running_loop().sock_connect(far, server.sockets[0].getsockname())
        return Far(far, early=f"{target.host}\n".encode())

    group = Group("127.0.0.1", 0, targets)
    made = Tunnel([group], dial or plain, said.append, spliced=spliced, **more)
    await made.start()
    try:
        async with asyncio.timeout(40):
            yield made, said
    finally:
        await made.stop(0.1)
        server.close()
        await server.wait_closed()


async def connect(made):
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, made.addresses[0])
    return End(sock)


def test_a_connection_is_led_to_the_target_and_counted(spliced):
    async def play():
        async with running(A, spliced=spliced) as (made, said):
            client = await connect(made)
            await client.send(b"hello\n")
            assert await client.exactly(16) == b"a.example\nHELLO\n"
            client.finish()
            assert await client.rest() == b""
            client.sock.close()
            await asyncio.gather(*made._open)
            assert made.statistics.record() == {
                "sent": 6, "received": 16, "connections": 1, "open": 0, "most": 1,
                "refused": 0, "failed": 0,
            }  # fmt: skip
            assert said == []

    asyncio.run(play())


def test_two_hundred_at_once(spliced):
    async def one(made, number):
        client = await connect(made)
        await client.send(b"%d\n" % number)
        answer = b"a.example\n%d\n" % number
        assert await client.exactly(len(answer)) == answer
        return client

    async def play():
        async with running(A, spliced=spliced) as (made, _):
            clients = await asyncio.gather(*(one(made, number) for number in range(200)))
            assert made.statistics.open == made.statistics.most == 200
            for client in clients:
                client.sock.close()
            await asyncio.gather(*made._open)
            assert made.statistics.open == 0
            assert made.statistics.failed == 0

    asyncio.run(play())


def test_more_than_there_is_room_for_wait_their_turn(monkeypatch):
    monkeypatch.setattr(tunnel, "raise_limit", lambda: 128 + 2 * 3)

    async def play():
        async with running(A) as (made, _):
            clients = [await connect(made) for _ in range(3)]
            for client in clients[:2]:
                assert await client.exactly(10) == b"a.example\n"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await clients[2].read()
            clients[0].sock.close()
            assert await clients[2].exactly(10) == b"a.example\n"
            assert made.statistics.most == 2
            for client in clients:
                client.sock.close()

    asyncio.run(play())


@pytest.mark.parametrize("piece", [1, 100, 5000])
def test_several_targets_are_told_apart_by_name_however_it_comes(piece):
    async def play():
        async with running(A, B) as (made, _):
            client = await connect(made)
            data = client_hello("B.example") + b"\nmore\n"
            for at in range(0, len(data), piece):
                await client.send(data[at : at + piece])
            assert await client.exactly(10) == b"b.example\n"
            client.finish()
            # All of it has come through, first bytes too.
            assert (await client.rest()).endswith(b"\nMORE\n")
            assert made.statistics.sent == len(data)
            client.sock.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (client_hello("c.example"), "c.example is not among the targets"),
        (client_hello(None), "no name is not among the targets"),
        (b"GET / HTTP/1.1\r\n\r\n", "no TLS handshake record"),
        (b"", "did not say which host"),
    ],
)
def test_others_are_refused(data, reason):
    async def play():
        async with running(A, B, hello_timeout=0.3) as (made, said):
            for _ in range(2):
                client = await connect(made)
                await client.send(data)
                with pytest.raises(ConnectionResetError):
                    await client.read()
                client.sock.close()
            assert made.statistics.refused == 2
            (sentence,) = said
            assert reason in sentence

    asyncio.run(play())


def test_what_cannot_be_dialled_is_a_reset_and_told_once():
    async def dial(target):
        raise NetworkError("The proxy says no.")

    async def play():
        async with running(A, dial=dial) as (made, said):
            for _ in range(2):
                client = await connect(made)
                with pytest.raises(ConnectionResetError):
                    await client.read()
                client.sock.close()
            assert made.statistics.failed == 2
            assert said == ["The proxy says no."]

    asyncio.run(play())


def test_a_stop_lets_go_of_what_is_open_and_being_dialled(spliced):
    async def forever(target):
        await asyncio.Event().wait()

    async def play():
        async with (
            running(A, spliced=spliced) as (made, _),
            running(A, dial=forever) as (dialling, _),
        ):
            quiet, waiting = await connect(made), await connect(dialling)
            assert await quiet.exactly(10) == b"a.example\n"
            began = time.monotonic()
            await asyncio.gather(made.stop(), dialling.stop())
            assert time.monotonic() - began < 2
            for client in (quiet, waiting):
                with pytest.raises(ConnectionResetError):
                    await client.read()
                client.sock.close()

    asyncio.run(play())


def test_a_tunnel_that_can_listen_on_one_port_only_leaves_none_open():
    async def play():
        with ports.listener("127.0.0.1", 0) as taken:
            port = taken.getsockname()[1]
            groups = [Group("127.0.0.1", 0, (A,)), Group("127.0.0.1", port, (B,))]
            made = Tunnel(groups, lambda _: asyncio.sleep(0, Far()), print)
            with pytest.raises(NetworkError, match="taken"):
                await made.start()
            assert all(sock.fileno() == -1 for sock, _ in made._listeners)

    asyncio.run(play())


def test_the_limit_of_files_is_raised():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert tunnel.raise_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert tunnel.raise_limit() > 256 or before[1] <= 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_statistics_are_one_line():
    told = Statistics(sent=99, received=12_345_678, connections=3, most=2, refused=1)
    assert told.summary() == (
        "3 connections (2 at once), 99 bytes sent, 12.3 MB received, 1 refused, 0 failed"
    )
