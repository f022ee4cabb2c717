"""What the data planes share."""

import socket

import pytest

from pyodide_offline.network import plane
from tests.unit.network.planes import tcp_pair


def test_a_reset_is_seen_as_one():
    one, other = tcp_pair()
    with other:
        plane.reset(one)
        with pytest.raises(ConnectionResetError):
            other.recv(1)


def test_a_socket_is_prepared_whatever_it_is():
    one, other = tcp_pair()
    with one, other:
        plane.prepare(one)
        assert not one.getblocking()
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    pair = socket.socketpair()
    with pair[0], pair[1]:
        plane.prepare(pair[0])
        assert not pair[0].getblocking()


def test_a_far_end_can_be_let_go():
    one, other = tcp_pair()
    with other:
        plane.Far(one).close()
        assert other.recv(1) == b""
    plane.Far().close()
