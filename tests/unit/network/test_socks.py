"""SOCKS5 against a script; real ones: tests/e2e/test_proxies.py."""

import asyncio
import socket
import threading
from contextlib import suppress

import pytest

from pyodide_offline.network import socks
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.proxies import parse


@pytest.mark.parametrize(
    ("answer", "credentials", "login", "missing"),
    [
        (b"\5\xff", None, False, True),
        (b"\5\2\1\1", Credentials("joe", "hunter2"), True, False),
        (b"HTTP/1.1 400", None, False, False),
        (b"", None, False, False),
        (b"\5\0\5\5\0\1\0\0\0\0\0\0", None, False, False),
    ],
)
def test_refusals_are_told_apart(answer: bytes, credentials, login: bool, missing: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.settimeout(5)
                client.recv(100)
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                while client.recv(100):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        upstream = parse(f"socks5h://127.0.0.1:{server.getsockname()[1]}", "ALL_PROXY")
        with pytest.raises(socks.SocksRefusedError) as caught:
            asyncio.run(socks.connect(upstream, "example.com", 443, credentials, 0))
        thread.join(6)
    assert (caught.value.login, caught.value.missing) == (login, missing)
    assert "hunter2" not in str(caught.value)
