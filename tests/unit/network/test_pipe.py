"""Bytes between two connections, once their heads are read."""

import asyncio

from tests.unit.network.forwarding import forwarding, head, origin


def test_a_switched_connection_carries_whatever_comes():
    async def talk(reader, writer):
        request = await head(reader)
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in request
        assert b"Sec-WebSocket-Key: k\r\n" in request
        writer.write(
            b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: a\r\n\r\n\x81\x02hi"
        )
        writer.write((await reader.readexactly(4))[::-1])
        assert await reader.read() == b""

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k")
            await client.ask(f"http://127.0.0.1:{port}/ws", *fields)
            first = await head(client.reader)
            assert first.startswith(b"HTTP/1.1 101 Switching\r\n")
            assert b"Sec-WebSocket-Accept: a\r\n" in first
            assert await client.reader.readexactly(4) == b"\x81\x02hi"
            client.writer.write(b"\x00\x01\x02\x03")
            assert await client.reader.readexactly(4) == b"\x03\x02\x01\x00"
            client.writer.close()

    asyncio.run(go())


def test_a_half_close_of_a_tunnel_is_carried_on():
    async def talk(reader, writer):
        writer.write(b"%d bytes" % len(await reader.read()))

    async def go():
        async with forwarding() as scene, origin(talk) as port:
            client = await scene.client()
            await client.ask(f"127.0.0.1:{port}", method="CONNECT", body=b"early ")
            assert (await head(client.reader)).startswith(b"HTTP/1.1 200")
            client.writer.write(b"and late")
            client.writer.write_eof()
            return await client.reader.read()

    assert asyncio.run(go()) == b"14 bytes"
