"""The plane of protocols where TLS lies between: what is special about it."""

import asyncio
import os
import ssl
from contextlib import asynccontextmanager, suppress

import pytest

from pyodide_offline.network import protocols
from pyodide_offline.network.plane import Counts, Far
from pyodide_offline.network.relay import relay
from tests.peers.authority import Authority
from tests.unit.network.planes import End, tcp_pair

BIG = os.urandom(1 << 20)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@asynccontextmanager
async def over_tls(authority, script, *, greeted=False):
    """A relay from a client's socket to a TLS server that plays the script."""
    over = asyncio.Event()

    async def serve(reader, writer):
        try:
            await script(reader, writer)
            writer.close()
        except ConnectionError:
            pass
        finally:
            over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server())
    trust = ssl.create_default_context(cafile=authority.ca)
    address = server.sockets[0].getsockname()
    streams = await asyncio.open_connection(*address, ssl=trust)
    if greeted:
        await streams[0].readexactly(1)  # the rest of what came with it stays in the reader
    client, near = tcp_pair()
    counts = Counts()
    near.setblocking(False)
    task = asyncio.create_task(relay(near, Far(streams=streams, early=b"early "), counts))
    try:
        async with asyncio.timeout(20):
            yield End(client), counts, task
            await task
            await over.wait()
    finally:
        client.close()
        server.close()
        await server.wait_closed()


def test_the_answer_after_the_clients_end_arrives_whole(authority):
    async def script(reader, writer):
        assert await reader.readexactly(5) == b"hello"
        await asyncio.sleep(0.2)  # the client's end has come to the relay by now
        writer.write(BIG)
        await writer.drain()

    async def play():
        async with over_tls(authority, script) as (client, counts, _):
            await client.send(b"hello")
            client.finish()
            assert await client.rest() == b"early " + BIG
            assert (counts.sent, counts.received) == (5, len(BIG) + 6)

    asyncio.run(play())


def test_what_streams_had_read_before_comes_in_its_place(authority):
    async def script(reader, writer):
        writer.write(b".greeting ")
        assert await reader.readexactly(2) == b"go"
        writer.write(b"later")

    async def play():
        async with over_tls(authority, script, greeted=True) as (client, _, _task):
            await client.send(b"go")
            assert await client.rest() == b"early greeting later"

    asyncio.run(play())


def test_a_client_that_closed_is_let_go_after_a_while(authority, monkeypatch):
    monkeypatch.setattr(protocols, "HELD_END", 0.1)

    async def script(reader, writer):
        assert await reader.read() == b""

    async def play():
        async with over_tls(authority, script) as (client, _, task):
            client.sock.close()
            await task

    asyncio.run(play())


def test_a_reset_of_the_client_ends_it(authority):
    async def script(reader, writer):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""

    async def play():
        async with over_tls(authority, script) as (client, _, task):
            assert await client.exactly(6) == b"early "
            client.reset()
            await task

    asyncio.run(play())


def test_a_client_that_does_not_read_holds_the_server_back(authority):
    full = asyncio.Event()

    async def script(reader, writer):
        for _ in range(256):
            writer.write(BIG)
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                full.set()
                break
        writer.transport.abort()

    async def play():
        async with over_tls(authority, script) as (client, counts, task):
            await full.wait()
            assert counts.received < 128 << 20
            client.reset()
            await task

    asyncio.run(play())
