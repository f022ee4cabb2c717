"""TLS inside TLS over a socket pair: the far end is two contexts, one in the other."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pyodide_offline.network.nested import Nested
from tests.peers.authority import Authority

BIG = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("nested") / "ca", "proxy.test", "target.test")


def _trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca)


@pytest.fixture
def outer(authority: Authority) -> Iterator[ssl.SSLSocket]:
    """Give the client's end of the outer TLS; the far end echoes over the inner one."""
    near, far = socket.socketpair()
    near.settimeout(10)
    far.settimeout(10)

    def serve() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = authority.server().wrap_bio(incoming, outgoing, server_side=True)
        with suppress(OSError), authority.server().wrap_socket(far, server_side=True) as secure:
            shaken = False
            while data := secure.recv(700):  # pieces that cut records
                incoming.write(data)
                with suppress(ssl.SSLWantReadError):
                    if not shaken:
                        inner.do_handshake()
                        shaken = True
                    while (said := inner.read(65536)) != b"end":
                        inner.write(said)
                    return
                if out := outgoing.read():
                    secure.sendall(out)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    secure = _trusting(authority).wrap_socket(near, server_hostname="proxy.test")
    yield secure
    secure.close()
    thread.join(10)


def test_bytes_come_back_whole_and_the_end_is_an_end(
    outer: ssl.SSLSocket, authority: Authority
) -> None:
    inner = Nested(outer, _trusting(authority), "target.test")
    # In parts: both ends block, so what is under way must fit into the sockets' buffers.
    for begin in range(0, len(BIG), 32000):
        part, back = BIG[begin : begin + 32000], b""
        inner.sendall(part)
        while len(back) < len(part):
            back += inner.recv(9000)
        assert back == part
    inner.sendall(b"end")
    assert inner.recv(10) == b""


def test_the_inner_certificate_is_checked_against_the_inner_name(
    outer: ssl.SSLSocket, authority: Authority
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.test"):
        Nested(outer, _trusting(authority), "other.test")
