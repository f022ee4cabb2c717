"""A look at certificates that were refused."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from pyodide_offline.network import witness
from pyodide_offline.network.proxies import parse
from tests.peers.proxies import free_port
from tests.peers.tunnelling import Proxy


@contextmanager
def server(context: ssl.SSLContext | None, heard: list[bytes]) -> Iterator[int]:
    """Do TLS's handshake with each caller, and keep what comes after it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listening.accept()
                    with suppress(OSError):
                        if context is None:
                            plain.close()
                            continue
                        with context.wrap_socket(plain, server_side=True) as secure:
                            heard.append(secure.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def context() -> ssl.SSLContext:
    """One with a chain: a server's certificate, and the one of its issuer."""
    root = trustme.CA(organization_name="Sophos Ltd")
    below = root.create_child_ca()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    below.issue_cert("example.com").configure_cert(made)
    return made


def test_the_whole_chain_is_seen_and_nothing_is_sent_after_the_handshake(
    context: ssl.SSLContext,
) -> None:
    heard: list[bytes] = []
    with server(context, heard) as port:
        first, second = witness.look("127.0.0.1", port, environ={})
    assert first.hosts == ("example.com",)
    assert first.issuer == second.subject
    assert "Sophos Ltd" in second.issuer
    assert heard in ([], [b""])


def test_through_the_proxy_the_same_is_seen(context: ssl.SSLContext) -> None:
    with server(context, []) as port, Proxy({("example.com", 443): ("127.0.0.1", port)}) as proxy:
        upstream = parse(proxy.url, "HTTPS_PROXY")
        first, *_ = witness.look("example.com", 443, [upstream], environ={})
        assert first.hosts == ("example.com",)
        assert proxy.asked == [("example.com", 443)]


@pytest.mark.parametrize("listening", [True, False])
def test_where_there_is_nothing_to_see_there_is_no_error(listening: bool) -> None:
    with server(None, []) as port:
        assert witness.look("127.0.0.1", port if listening else free_port(), environ={}) == ()


def test_one_that_never_answers_is_left_after_the_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert witness.look("127.0.0.1", port, environ={}, patience=0.2) == ()


def test_the_error_names_the_issuer_that_was_seen(context: ssl.SSLContext) -> None:
    with server(context, []) as port:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            pytest.raises(ssl.SSLCertVerificationError) as caught,
        ):
            ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
        error = witness.explain(caught.value, "it", "127.0.0.1", port, environ={})
    assert "Sophos Ltd" in error.what
    assert "Sophos inspects TLS" in error.why
