"""Connections by proxy and directly, with what is allowed held."""

import asyncio
import socket
import ssl

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import sockets
from pyodide_offline.network.hops import Target
from pyodide_offline.network.outbound import Connection
from pyodide_offline.network.permits import Permits
from pyodide_offline.network.proxies import Upstream, parse
from tests.peers.authority import Authority
from tests.peers.tunnelling import Proxy
from tests.unit.network.forwarding import origin, outbound


async def greet(reader, writer):
    writer.write(b"hello")
    await writer.drain()
    writer.write(await reader.readexactly(5))
    await reader.read()


async def talk(made: Connection) -> bytes:
    """Say something; return what the other side greeted with and gave back."""
    made.writer.write(b"world")
    data = made.early
    while len(data) < 10:
        data += await asyncio.wait_for(made.reader.read(100), 10)
    made.close()
    await made.writer.wait_closed()
    return data


def resolving(monkeypatch, *addresses: str) -> None:
    async def resolve(host, port, family=0):
        if host in addresses:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(sockets, "resolve", resolve)


def context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca)


@pytest.mark.parametrize("tls", [False, True])
def test_directly(tls, tmp_path):
    authority = Authority(tmp_path / "ca")

    async def go():
        async with origin(greet, authority.server() if tls else None) as port:
            out = outbound(trust=lambda: context(authority))
            return await talk(await out.open(Target("https" if tls else "http", "127.0.0.1", port)))

    assert asyncio.run(go()) == b"helloworld"


def test_one_that_the_other_side_has_closed_may_be_closed_and_aborted_in_any_order(tmp_path):
    authority = Authority(tmp_path / "ca")

    async def ends(_reader, writer):
        writer.write(b"bye")

    async def go():
        async with origin(ends, authority.server()) as port:
            out = outbound(trust=lambda: context(authority))
            made = await out.open(Target("https", "127.0.0.1", port))
            said = made.early + await made.reader.read()
            for end in (made.close, made.close, made.abort, made.close, made.abort):
                end()
            return said

    assert asyncio.run(go()) == b"bye"


@pytest.mark.parametrize("tls", [False, True])
def test_by_name_through_a_proxy(tls, tmp_path):
    authority = Authority(tmp_path / "ca", "a.example")

    async def go():
        async with origin(greet, authority.server() if tls else None) as port:
            with Proxy({("a.example", port): ("127.0.0.1", port)}, "me:secret") as proxy:
                way = parse(proxy.url.replace("://", "://me:secret@"), "HTTPS_PROXY")
                out = outbound(ways=[way], trust=lambda: context(authority))
                target = Target("https" if tls else "tcp", "a.example", port)
                return await talk(await out.open(target)), proxy.asked == [("a.example", port)]

    assert asyncio.run(go()) == (b"helloworld", True)


def test_this_machine_is_never_reached_through_a_proxy():
    async def go():
        async with origin(greet) as port:
            with Proxy({}) as proxy:
                out = outbound(ways=[parse(proxy.url, "HTTP_PROXY")])
                return await talk(await out.open(Target("http", "localhost", port)))

    assert asyncio.run(go()) == b"helloworld"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.0.0.1", "::ffff:10.0.0.1"])
def test_an_address_that_is_not_allowed_goes_nowhere_not_even_by_proxy(host):
    out = outbound(Permits(), ways=[parse("http://127.0.0.1:1", "HTTP_PROXY")])
    with pytest.raises(NetworkError, match="not to be reached by workers"):
        asyncio.run(out.open(Target("http", host, 80)))
    with pytest.raises(NetworkError, match="not to be reached by workers"):
        asyncio.run(out.upstreams(Target("http", host, 80)))


def test_a_name_counts_by_the_address_that_it_is_connected_to(monkeypatch):
    """It leads to loopback now, whatever it led to before."""
    resolving(monkeypatch, "127.0.0.1")

    async def go():
        async with origin(greet) as port:
            with pytest.raises(NetworkError, match="not to be reached by workers"):
                await outbound(Permits()).open(Target("http", "rebound.example", port))
            return await talk(await outbound().open(Target("http", "rebound.example", port)))

    assert asyncio.run(go()) == b"helloworld"


def test_direct_after_a_proxy_that_is_down_is_under_the_permits_too(monkeypatch):
    """As a PAC file says it: PROXY down; DIRECT."""
    resolving(monkeypatch, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = parse(f"http://127.0.0.1:{closed.getsockname()[1]}", "a PAC file")
    ways = [down, Upstream("direct", "", 0, named=False)]

    async def go():
        async with origin(greet) as port:
            target = Target("http", "inside.example", port)
            with pytest.raises(NetworkError, match="not to be reached by workers"):
                await outbound(Permits(), ways=ways).open(target)
            return await talk(await outbound(ways=ways).open(target))

    assert asyncio.run(go()) == b"helloworld"


def test_of_several_addresses_those_allowed_are_tried_in_their_order(monkeypatch):
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.3")

    async def go():
        async with origin(greet) as port:
            # 127.0.0.2 has no server there, and 127.0.0.1 may not be asked.
            permits = Permits(("127.0.0.0/8",), ("127.0.0.1/32",))
            with pytest.raises(NetworkError, match=r"127\.0\.0\.3:\d+ refuses"):
                await outbound(permits).open(Target("http", "many.example", port))
            permits = Permits(("127.0.0.0/8",), ("127.0.0.2/32",))
            return await talk(await outbound(permits).open(Target("http", "many.example", port)))

    assert asyncio.run(go()) == b"helloworld"


def test_a_name_that_is_not_found(monkeypatch):
    async def nowhere(host, port, family=0):
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(sockets, "resolve", nowhere)
    with pytest.raises(NetworkError, match=r"a\.example:80 is not found"):
        asyncio.run(outbound().open(Target("http", "a.example", 80)))


def test_a_certificate_that_is_not_trusted_or_of_another_name(tmp_path, monkeypatch):
    resolving(monkeypatch, "127.0.0.1")
    authority, other = Authority(tmp_path / "a", "a.example"), Authority(tmp_path / "b")

    async def go(host, trusted):
        async with origin(greet, authority.server()) as port:
            out = outbound(trust=lambda: context(trusted))
            await out.open(Target("https", host, port))

    with pytest.raises(NetworkError, match="Test Inspection CA"):
        asyncio.run(go("a.example", other))
    with pytest.raises(NetworkError, match=r"b\.example:\d+ is for another name"):
        asyncio.run(go("b.example", authority))


def test_what_is_no_tls_is_said(tmp_path):
    authority = Authority(tmp_path / "ca")

    async def go():
        async with origin(greet) as port:
            out = outbound(trust=lambda: context(authority))
            await out.open(Target("https", "127.0.0.1", port))

    with pytest.raises(NetworkError, match="does not speak TLS as it should"):
        asyncio.run(go())
