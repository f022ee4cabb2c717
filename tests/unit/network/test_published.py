"""Ports that turn up inside, with tables that are written here and sockets of this machine."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import ports
from pyodide_offline.network.published import Publisher
from pyodide_offline.network.targets import Port

ANY = "0.0.0.0"  # noqa: S104 - of a table
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def row(port, address="127.0.0.1"):
    digits = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0"
    return f"   0: {digits:08X}:{port:04X} {rest}\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def named(port):
    return {port: ports.listener("127.0.0.1", port.here)}


class Scene:
    def __init__(self, tables, **more):
        self.tables = tables
        self.said: list[str] = []
        self.wanted: list[int] = []

        async def make(family):
            self.wanted.append(family)
            made = socket.socket(family)
            made.setblocking(False)
            return made

        self.publisher = Publisher(tables, make, self.said.append, **more)

    def listening(self, *rows):
        (self.tables / "tcp").write_text(HEAD + "".join(rows))


@asynccontextmanager
async def scene(tables, **more):
    made = Scene(tables, **more)
    try:
        yield made
    finally:
        await made.publisher.stop()


def test_a_port_is_published_and_taken_back(tmp_path):
    port = free_port()

    async def play():
        async with scene(tmp_path, ours={443}) as made:
            made.listening(row(443), row(port, ANY), row(free_port(), "192.0.2.7"))
            await made.publisher.look()
            assert made.said == [f"published on this machine: 127.0.0.1:{port}"]
            await made.publisher.look()
            assert len(made.said) == 1
            made.listening(row(443))
            await made.publisher.look()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(play())


def test_a_port_that_is_taken_here_is_told_once(tmp_path):
    async def play():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with scene(tmp_path) as made:
                made.listening(row(port))
                await made.publisher.look()
                await made.publisher.look()
                (line,) = made.said
                assert line.startswith(f"port {port} is not published on this machine: Cannot")

    asyncio.run(play())


def test_a_connection_is_led_inside_under_another_number(tmp_path):
    async def play():
        async def greet(reader, writer):
            writer.write(b"hello " + await reader.read())
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        inside, here = server.sockets[0].getsockname()[1], free_port()
        async with scene(tmp_path, named=named(Port(here, inside))) as made:
            await made.publisher.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", here)
            writer.write(b"you")
            writer.write_eof()
            assert await reader.read() == b"hello you"
            writer.close()
            assert made.wanted == [socket.AF_INET]
            assert made.said == []
        server.close()

    asyncio.run(play())


def test_what_listens_on_ipv6_alone_is_dialled_there(tmp_path):
    async def play():
        async with scene(tmp_path, named={}) as made:
            rest = ":0009 " + "0" * 32 + ":0000 0A 0:0 00:0 0 0 0 1 1 0"
            (tmp_path / "tcp6").write_text(f"{HEAD}   0: {'0' * 32}{rest}\n")
            with pytest.raises(NetworkError, match="Nothing listens inside on port 9"):
                await made.publisher._dial(9)
            assert made.wanted == [socket.AF_INET6]

    asyncio.run(play())
