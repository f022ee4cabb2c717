"""The counting network counts: tests of tests/peers/netns.py."""

import sys

import pytest

from tests.peers.netns import run_counted

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("counting_network")]

WANTS_OUT = {
    "tcp": "socket.create_connection(('192.0.2.1', 443), 2)",
    "udp": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "a name": "socket.getaddrinfo('example.com', 443)",
}

LOOPBACK = """
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
client.sendall(b'x')
print(server.accept()[0].recv(1), socket.getaddrinfo('localhost', 80)[0][4][0])
"""


@pytest.mark.parametrize("code", WANTS_OUT.values(), ids=WANTS_OUT.keys())
def test_who_wants_out_is_counted(code: str) -> None:
    ran = run_counted([sys.executable, "-c", f"import socket\n{code}"])
    assert ran.packets > 0, ran.output


def test_a_connection_fails_soon_and_says_so() -> None:
    code = f"import socket; {WANTS_OUT['tcp']}"
    ran = run_counted([sys.executable, "-c", code], timeout=20)
    assert ran.status == 1
    assert "unreachable" in ran.output or "No route to host" in ran.output


def test_loopback_is_not_counted() -> None:
    ran = run_counted([sys.executable, "-c", LOOPBACK])
    assert (ran.status, ran.packets) == (0, 0), ran.output
    assert ran.output.split() in (["b'x'", "127.0.0.1"], ["b'x'", "::1"])


def test_who_goes_to_the_background_is_counted_while_the_command_runs() -> None:
    child = f"import socket\n{WANTS_OUT['udp']}"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    assert run_counted([sys.executable, "-c", code]).packets > 0


def test_the_status_is_the_commands() -> None:
    assert run_counted(["sh", "-c", "exit 7"]).status == 7
    assert run_counted(["sh", "-c", "kill -TERM $$"]).status == 143


def test_a_command_without_end_is_ended() -> None:
    with pytest.raises(AssertionError, match=r"no end in 1 s:\nstarted"):
        run_counted(["sh", "-c", "echo started; sleep 60"], timeout=1)
