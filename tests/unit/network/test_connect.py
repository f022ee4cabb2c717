"""The dialer against proxies that follow a script. Real ones: tests/e2e/test_proxies.py."""

import errno
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect, refusals
from pyodide_offline.network.connect import Dialed, dial_sync
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import parse

_OK = b"HTTP/1.1 200 OK\r\n\r\n"
_WANTS = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 4\r\n\r\nbody"


@contextmanager
def _scripted(*answers: bytes, hold: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Answer requests in this order, whatever the connection; close after the last, or hold."""
    heard: list[bytes] = []
    over = threading.Event()
    waiting = list(answers)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.settimeout(5)
                    while data := client.recv(65536):
                        heard.append(data)
                        if not waiting:
                            break
                        client.sendall(waiting.pop(0))
                        if not waiting and not hold:
                            break
                    if hold:
                        over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        over.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(6)


def _dial(ports: Sequence[int], *, login: str = "", timeout: float = 5) -> Dialed:
    upstreams = [parse(f"http://{login}127.0.0.1:{port}", "HTTPS_PROXY") for port in ports]
    return dial_sync("example.com", 443, upstreams, environ={}, timeout=timeout, lockout=Lockout())


def test_bytes_behind_the_head_are_handed_over() -> None:
    with _scripted(_OK + b"early") as (port, heard):
        dialed = _dial([port])
        dialed.close()
    assert dialed.early == b"early"
    assert dialed.socket
    assert heard[0].startswith(b"CONNECT example.com:443 HTTP/1.1\r\n")


def test_a_login_takes_one_connection() -> None:
    with _scripted(_WANTS, _OK) as (port, heard):
        _dial([port], login="joe:hunter2@").close()
    assert b"Proxy-Authorization: Basic" not in heard[0]
    assert b"Proxy-Authorization: Basic" in heard[1]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"garbage\r\n\r\n"], "not HTTP"),
        ([b""], "without an answer"),
        ([b"HTTP/1.1 2"], "not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000], "longer than"),
        ([_OK + b"<html><title>Blocked</title>"], "Blocked"),
        ([b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n"], "do not allow"),
        ([_WANTS, _WANTS, _OK], "sent once"),
        ([_WANTS.replace(b"Basic", b"Bearer"), _OK], "bearer"),
    ],
)
def test_what_a_proxy_can_do_wrong_is_told_without_the_password(
    answers: list[bytes], said: str
) -> None:
    with _scripted(*answers) as (port, heard), pytest.raises(NetworkError) as caught:
        _dial([port], login="joe:hunter2@")
    assert said in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value!r}"
    assert len(heard) <= 2


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([], "never answers"),
        ([b"HTTP/1.1 200"], "never answers"),
        ([b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n"], "403 No"),
    ],
)
def test_a_proxy_that_stops_costs_its_timeout(answers: list[bytes], said: str) -> None:
    begun = time.monotonic()
    with _scripted(*answers, hold=True) as (port, _), pytest.raises(NetworkError) as caught:
        _dial([port], timeout=0.3)
    assert said in caught.value.what
    assert time.monotonic() - begun < 8


def test_the_next_proxy_is_tried_and_what_failed_before_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with _scripted(_OK) as (port, _):
        dialed = _dial([closed, port])
        dialed.close()
    assert dialed.upstream
    assert dialed.upstream.port == port
    with pytest.raises(NetworkError, match="refuses the connection") as caught:
        _dial([closed, closed])
    assert "Before it" in caught.value.why


def test_a_host_that_is_none_is_refused() -> None:
    upstreams = [parse("127.0.0.1:1", "--proxy")]
    with pytest.raises(NetworkError, match="not a host name"):
        dial_sync("a\r\nb", 443, upstreams, environ={}, lockout=Lockout())


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN])
def test_that_there_is_no_route_is_no_matter_of_another_try(number: int) -> None:
    kind, reason = connect.kind_of(OSError(number, "Network is unreachable"))
    assert (kind, reason) == ("routeless", "Network is unreachable")
    assert kind not in refusals.PASSING
