"""A port that cannot be had, and why."""

import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import ports


def test_a_listener_listens():
    with ports.listener("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        sock.accept()[0].close()
        assert not sock.getblocking()


def test_a_taken_port_is_told_with_its_holder():
    with ports.listener("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(NetworkError, match=f"127.0.0.1:{port}: the port is taken") as caught:
            ports.listener("127.0.0.1", port)
        assert f"(pid {os.getpid()}) listens there." in caught.value.why
        assert "--listen 127.0.0.1:8" in caught.value.next_step


def test_nobody_holds_a_port_that_is_free():
    with ports.listener("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    assert ports.holder(port) is None


def test_a_holder_that_cannot_be_told_is_none(tmp_path):
    assert ports.holder(443, tmp_path) is None
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address   st and so on, in words that nobody reads\n"
    line = "   0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1\n"
    (tmp_path / "net" / "tcp").write_text(head + line)
    (tmp_path / "12" / "fd").mkdir(parents=True)
    (tmp_path / "12" / "fd" / "0").symlink_to("/dev/null")
    assert ports.holder(443, tmp_path) is None
    (tmp_path / "12" / "fd" / "3").symlink_to("socket:[777]")
    assert ports.holder(443, tmp_path) == "a program (pid 12)"
    (tmp_path / "12" / "comm").write_text("web\x1bserver\n")
    assert ports.holder(443, tmp_path) == "web?server (pid 12)"


@pytest.mark.parametrize(
    ("number", "said", "step"),
    [
        (errno.EACCES, "may not listen below port 1024", "--listen 127.0.0.1:8443"),
        (errno.EACCES, "ip_unprivileged_port_start=443", "pyodide-offline exec -- COMMAND"),
        (errno.EADDRNOTAVAIL, "no such address", "--listen 127.0.0.1"),
        (errno.ENOBUFS, "buffer", ""),
    ],
)
def test_other_refusals_say_what_to_do(monkeypatch, number, said, step):
    def refuse(self, address):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(NetworkError, match=said) as caught:
        ports.listener("127.0.0.1", 443)
    assert step in caught.value.next_step


def test_what_listens_on_loopback_or_everywhere_is_found():
    four = "0100007F:1F90", "00000000:0050", "0200000A:0051"
    six = "0" * 24 + "01000000:1F91", "0" * 32 + ":0052", "0" * 16 + "FFFF0000" + "0100007F:0053"
    rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1"
    lines = [f"   0: {one} {rest}\n" for one in (*four, *six)]
    connected = lines[0].replace(" 0A ", " 01 ").replace("1F90", "1F99")
    if sys.byteorder == "little":
        found = ports.listening("".join(["head\n", *lines, connected]))
        assert sorted((one.port, one.address) for one in found) == [
            (80, "127.0.0.1"), (82, "::1"), (83, "127.0.0.1"),
            (8080, "127.0.0.1"), (8081, "::1"),
        ]  # fmt: skip


def test_a_listener_of_this_machine_is_in_its_table():
    with ports.listener("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        table = Path("/proc/self/net/tcp").read_text(encoding="ascii")
        assert ports.Listening(port, "127.0.0.1") in ports.listening(table)
