"""A program that cannot connect: held where a real one tries."""

import platform
import socket
import sys

import pytest

from pyodide_offline.workers import unconnected

_TRY = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    print("connected")
except OSError as error:
    print(error.errno, listener.getsockname()[0])
"""


def tried() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = unconnected.start([sys.executable, "-c", _TRY, str(port)])
        said, _ = child.communicate(timeout=30)
        # This process itself still can.
        socket.create_connection(("127.0.0.1", port), 5).close()
        return said.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_it_listens_and_cannot_connect():
    assert tried() == "101 127.0.0.1"


@pytest.mark.parametrize("machine", ["riscv64", ""])
def test_where_no_filter_is_known_the_program_runs_without(monkeypatch, machine):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert tried() == "connected"


def test_a_program_that_cannot_be_started_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        unconnected.start([tmp_path / "none"])
