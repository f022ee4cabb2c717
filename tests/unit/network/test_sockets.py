"""Names and connections."""

import asyncio
import errno
import socket
import threading
import time

import pytest

from pyodide_offline.network import sockets


def test_a_connection_is_non_blocking_and_sends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = asyncio.run(sockets.open_raw("127.0.0.1", server.getsockname()[1]))
        with made:
            assert not made.getblocking()
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test"])
def test_what_is_no_name_is_not_found(name: str) -> None:
    with pytest.raises(socket.gaierror):
        asyncio.run(sockets.resolve(name, 1))


def test_a_resolver_that_hangs_does_not_outlast_a_timeout(monkeypatch) -> None:
    free = threading.Event()

    def hang(*_: object, flags: int = 0, **__: object) -> list[object]:
        if flags:  # asked whether it is an address
            raise socket.gaierror(socket.EAI_NONAME, "it is a name")
        free.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def ask() -> None:
        async with asyncio.timeout(0.1):
            await sockets.resolve("example.com", 1)

    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert time.monotonic() - begun < 10
    free.set()


def test_the_next_address_is_tried(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        real = socket.getaddrinfo
        port = server.getsockname()[1]

        def two(host: str, *_, **options):
            good = real("127.0.0.1", port, **options)
            return [(*good[0][:4], ("127.0.0.1", 1)), *good]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        asyncio.run(sockets.open_raw("name.test", port)).close()


def test_name_servers_that_hang_are_told_from_a_host_that_does(monkeypatch) -> None:
    free = threading.Event()

    def hang(*_: object, flags: int = 0, **__: object) -> list[object]:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "it is a name")
        free.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(sockets, "LOOKUP", 0.1)
    with pytest.raises(socket.gaierror) as caught:
        asyncio.run(sockets.open_raw("example.com", 1))
    free.set()
    assert caught.value.errno == socket.EAI_AGAIN


@pytest.mark.parametrize(
    ("first", "last", "counts"),
    [
        (errno.ECONNREFUSED, errno.ENETUNREACH, errno.ECONNREFUSED),
        (errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNREFUSED),
        (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETUNREACH),
    ],
)
def test_an_address_without_a_route_does_not_hide_what_another_says(
    monkeypatch, first: int, last: int, counts: int
) -> None:
    problems = [first, last]

    def two(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 1))] * 2

    async def connect(*_: object) -> None:
        raise OSError(problems.pop(0), "no")

    monkeypatch.setattr(socket, "getaddrinfo", two)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    with pytest.raises(OSError, match="no") as caught:
        asyncio.run(sockets.open_raw("name.test", 1))
    assert caught.value.errno == counts
