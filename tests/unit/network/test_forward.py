"""Plain http through a proxy that follows a script. A real one: tests/e2e/test_downloads.py."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpcore
import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import forward
from pyodide_offline.network.backend import Dialing
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import Upstream, parse

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BASIC = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 4\r\n\r\nbody"
_DIGEST = _BASIC.replace(b"Basic realm=x", b'Digest realm="x", nonce="n", qop="auth"')


@contextmanager
def _scripted(*answers: bytes) -> Iterator[tuple[int, list[list[bytes]]]]:
    """Answer requests in this order; give the requests, a list for each connection.

    After an answer that says close the connection is closed.
    """
    connections: list[list[bytes]] = []
    waiting = list(answers)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                heard: list[bytes] = []
                connections.append(heard)
                with client, suppress(OSError):
                    while waiting and (data := client.recv(65536)):
                        heard.append(data)
                        answer = waiting.pop(0)
                        client.sendall(answer)
                        if b"close" in answer:
                            break

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], connections
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _get(port: int, lockout: Lockout, login: str = "joe:hunter2@") -> bytes:
    upstream = parse(f"http://{login}127.0.0.1:{port}", "http_proxy")
    return _by(upstream, lockout)


def _by(upstream: Upstream, lockout: Lockout) -> bytes:
    with httpcore.ConnectionPool(max_connections=1, network_backend=Dialing(environ={})) as pool:
        request = httpcore.Request(
            "GET", "http://example.com/a?b=c", headers=[("Host", "example.com")]
        )
        answer = forward.send(pool, request, upstream, environ={}, lockout=lockout)
        return answer.read()


def test_the_proxy_gets_the_whole_address_and_no_login_that_it_did_not_ask_for() -> None:
    with _scripted(_OK) as (port, connections):
        assert _get(port, Lockout()) == b"ok"
    (heard,) = connections[0]
    assert heard.startswith(b"GET http://example.com/a?b=c HTTP/1.1\r\nHost: example.com\r\n")
    assert b"Proxy-Authorization" not in heard


def test_a_login_takes_one_connection_and_is_remembered() -> None:
    lockout = Lockout()
    with _scripted(_BASIC, _OK, _OK) as (port, connections):
        assert _get(port, lockout) == b"ok"
        assert _get(port, lockout) == b"ok"
    assert [len(heard) for heard in connections] == [2, 1]
    assert b"Proxy-Authorization: Basic" in connections[1][0]


def test_a_digest_is_of_this_method_and_this_address() -> None:
    with _scripted(_DIGEST, _OK) as (port, connections):
        assert _get(port, Lockout()) == b"ok"
    assert b'uri="http://example.com/a?b=c"' in connections[0][1]


def test_a_proxy_that_closes_after_its_refusal_gets_a_fresh_connection() -> None:
    closing = _BASIC.replace(b"Content-Length", b"Proxy-Connection: close\r\nContent-Length")
    with _scripted(closing, _OK) as (port, connections):
        assert _get(port, Lockout()) == b"ok"
    assert [len(heard) for heard in connections] == [1, 1]


def test_a_refused_password_is_sent_once_and_not_shown() -> None:
    lockout = Lockout()
    with _scripted(_BASIC, _BASIC, _BASIC) as (port, connections):
        for _ in range(2):
            with pytest.raises(NetworkError, match="does not accept the user") as caught:
                _get(port, lockout)
            assert "hunter2" not in f"{caught.value} {caught.value!r}"
            assert caught.value.kind == "login"
    assert sum(b"Proxy-Authorization" in one for heard in connections for one in heard) == 1


@pytest.mark.parametrize(
    ("answer", "login", "says"),
    [
        (_BASIC, "", "no user is known"),
        (_BASIC.replace(b"Basic", b"Bearer"), "joe:hunter2@", "of a kind that cannot be given"),
    ],
)
def test_a_login_that_cannot_be_given_is_said(answer: bytes, login: str, says: str) -> None:
    with _scripted(answer) as (port, _), pytest.raises(NetworkError, match=says) as caught:
        _get(port, Lockout(), login)
    assert "http_proxy names it" in caught.value.why


def test_a_proxy_that_is_down_is_named_as_the_proxy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    for scheme in ("http", "https"):
        upstream = parse(f"{scheme}://127.0.0.1:{closed}", "http_proxy")
        with pytest.raises(NetworkError, match=r"The proxy .* refuses the connection") as caught:
            _by(upstream, Lockout())
        assert caught.value.kind == "refused"


def test_a_proxy_that_does_not_speak_tls_is_told_so() -> None:
    with _scripted(b"HTTP/1.1 400 close\r\n\r\n") as (port, _):
        upstream = parse(f"https://127.0.0.1:{port}", "http_proxy")
        with pytest.raises(NetworkError, match="does not speak TLS as it should"):
            _by(upstream, Lockout())
