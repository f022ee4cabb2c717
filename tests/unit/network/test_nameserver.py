"""Queries and their answers."""

import asyncio
import socket

import dns.message
import dns.rcode
import pytest

from pyodide_offline.network import nameserver

NAMES = {"far.example"}


def asked(name, kind="A"):
    query = dns.message.make_query(name, kind)
    wire = nameserver.answer(query.to_wire(), NAMES)
    assert wire is not None
    response = dns.message.from_wire(wire)
    assert query.is_response(response)
    return response


@pytest.mark.parametrize("name", ["far.example", "FAR.Example."])
def test_a_target_is_on_loopback(name):
    (record,) = asked(name).answer
    assert [one.to_text() for one in record] == ["127.0.0.1"]


@pytest.mark.parametrize("kind", ["AAAA", "HTTPS", "ANY"])
def test_a_target_has_nothing_else(kind):
    response = asked("far.example", kind)
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


def test_other_names_do_not_exist():
    assert asked("near.far.example").rcode() == dns.rcode.NXDOMAIN


def test_what_is_no_query_has_no_answer():
    response = dns.message.make_response(dns.message.make_query("far.example", "A"))
    nothing = dns.message.Message()
    for wire in (b"", b"x" * 40, response.to_wire(), nothing.to_wire()):
        assert nameserver.answer(wire, NAMES) is None


def test_a_socket_is_served_garbage_or_not():
    async def play():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            transport = await nameserver.serve(sock, NAMES)
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                client.connect(sock.getsockname())
                client.send(b"garbage")
                client.send(dns.message.make_query("far.example", "A").to_wire())
                async with asyncio.timeout(10):
                    wire = await loop.sock_recv(client, 512)
            transport.close()
            return dns.message.from_wire(wire)

    assert asyncio.run(play()).answer
