"""Records and sockets between two ends."""

import socket

import pytest

from pyodide_offline.network import handover


def test_records_stay_apart_and_sockets_stay_open():
    one, other = handover.pair()
    with one, other, socket.create_server(("127.0.0.1", 0)) as server:
        handover.send(one, {"a": 1}, [server])
        handover.send(one, {"b": "ü"})
        address = server.getsockname()
        server.close()
        record, (copy,) = handover.receive(other)
        assert record == {"a": 1}
        assert handover.receive(other) == ({"b": "ü"}, [])
        with copy, socket.create_connection(address):
            copy.accept()[0].close()
            assert not copy.get_inheritable()


def test_an_end_that_is_gone_is_told():
    one, other = handover.pair()
    one.close()
    with other:
        with pytest.raises(handover.GoneError):
            handover.receive(other)
        with pytest.raises(handover.GoneError):
            handover.send(other, {})
