"""What --listen may be, and a port that is ours."""

import asyncio
import socket

import pytest

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.features.mirror import listening


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80, None)),
        ("[::1]:80", ("::1", 80, None)),
        (":80", ("127.0.0.1", 80, None)),
        ("80", ("127.0.0.1", 80, None)),
    ],
)
def test_addresses(text, meant):
    assert listening.address(text) == meant


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000"])
def test_what_is_no_address(text):
    with pytest.raises(SettingsError):
        listening.address(text)


def test_any_free_port_is_one_port():
    with listening.reserved("127.0.0.1:0") as (host, port, unix):
        assert (host, unix) == ("127.0.0.1", None)
        assert port > 0
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((host, port))


def test_a_server_that_ends_before_it_listens():
    async def scene():
        async def failing():
            raise RuntimeError("no")

        with listening.reserved("127.0.0.1:0") as (host, port, unix):
            await listening.taking(host, port, unix, asyncio.create_task(failing()))

    with pytest.raises(NetworkError, match="did not start"):
        asyncio.run(scene())
