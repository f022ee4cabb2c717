"""Who listens on a port, from the kernel's tables."""

import os
import socket

from pyodide_offline.features.doctor import holders

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0
   1: 0100007F:01BB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0
   2: 00000000000000000000000001000000:2253 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 79
"""  # noqa: E501


def test_only_listeners_count():
    assert holders.listening(TABLE) == {0x2253: {"77", "79"}}


def test_this_process_is_found_by_its_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        (found,) = holders.of((port,))
        assert (found.port, found.pid) == (port, os.getpid())
        assert found.command
    assert holders.of((port,)) == []
