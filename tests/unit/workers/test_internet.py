"""The workers' way out."""

import socket
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network.permits import Permits
from pyodide_offline.workers.internet import Internet, wanted
from tests.peers.tunnelling import Proxy


@pytest.mark.parametrize(
    ("environ", "so"),
    [
        ({}, False),
        ({"NO_PROXY": "x"}, False),
        ({"HTTPS_PROXY": "http://p:1"}, True),
        ({"http_proxy": "http://p:1"}, True),
        ({"all_proxy": "socks5h://p:1"}, True),
        ({"HTTPS_PROXY": ""}, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost,.corp"}, True),
    ],
)
def test_it_is_wanted_where_a_proxy_is_named(session, environ, so):
    assert wanted(replace(session, environ=environ)) is so


def test_it_is_wanted_where_an_option_names_a_proxy_or_a_script(session):
    assert wanted(replace(session, environ={}, proxies=("http://p:1",)))
    assert wanted(replace(session, environ={}, pac="/proxy.pac"))


def test_a_proxy_that_cannot_be_used_is_an_error(session):
    with pytest.raises(SettingsError, match="HTTPS_PROXY"):
        wanted(replace(session, environ={"HTTPS_PROXY": "ftp://p"}))


def connected(address: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(10)
    try:
        made.connect(address.removeprefix("unix:"))
    except OSError:
        made.close()
        raise
    return made


def test_each_kind_of_permits_has_a_forwarder_and_nothing_runs_before_or_after(session):
    before = set(threading.enumerate())
    internet = Internet(session, lambda _: None)
    assert set(threading.enumerate()) == before
    everywhere = Permits(("public", "private"))
    addresses = [internet.address(one) for one in (Permits(), everywhere, Permits())]
    assert addresses[0] == addresses[2] != addresses[1]
    for address in addresses:
        with connected(address) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert client.recv(1) == b""
    internet.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(OSError, match=r"."):
        connected(addresses[0])
    internet.close()


def test_the_variables_name_the_way(session):
    said: list[str] = []
    with Proxy({("a.example", 80): ("127.0.0.1", 1)}) as proxy:
        environ = {"http_proxy": proxy.url, "no_proxy": "b.example"}
        with closing(Internet(replace(session, environ=environ), said.append)) as internet:
            address = internet.address(Permits(("public", "private")))
            for host in ("a.example", "b.example.invalid", "c.b.example"):
                with connected(address) as client:
                    client.sendall(f"GET http://{host}/ HTTP/1.1\r\n\r\n".encode())
                    assert client.recv(100) == b""
        assert proxy.asked == [("a.example", 80)]
    assert "does not let b.example.invalid:80 through" in said[-2]
    assert "c.b.example:80 is not found" in said[-1]
