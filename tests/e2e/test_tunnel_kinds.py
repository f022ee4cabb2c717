"""`tunnel` through proxies of other programs, and for a minute in which nothing is said."""

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import proxies
from tests.peers.authority import Authority
from tests.peers.proxies import GREETING

_MISSING = [name for name in ("squid", "stunnel4") if not proxies.program(name)]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(_MISSING), reason=f"{_MISSING} are not installed"),
]

BIG = os.urandom(1 << 20)
QUIET = 60.0  # seconds


@contextmanager
def late_host() -> Iterator[int]:
    """A host that hears ten bytes, and answers 1 MiB a while after; its port."""

    def serve() -> None:
        with suppress(OSError):
            sock, _ = server.accept()
            with sock:
                heard = b""
                while len(heard) < 10:
                    heard += sock.recv(10)
                time.sleep(1.5)  # what is tried: the client's end is long past by then
                sock.sendall(heard + BIG)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
    thread.join(5)


@contextmanager
def tunnel(machine: Machine, target: str, proxy: str, **environ: str) -> Iterator[int]:
    """A running tunnel; its port."""
    with subprocess.Popen(
        [PROGRAM, "tunnel", "--listen", "127.0.0.1:0", "--target", target],
        env={**machine.env, "HTTPS_PROXY": proxy, "NO_PROXY": "", **environ},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr
        try:
            line = child.stderr.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) leads to", line)
            assert found, line
            yield int(found[1])
        finally:
            child.terminate()
            assert proxies.PASSWORD not in child.stderr.read()


def whole(sock: socket.socket) -> bytes:
    sock.settimeout(30)
    return sock.makefile("rb").read()


def test_through_tls_to_the_proxy_the_answer_after_the_clients_end_comes_whole(
    machine: Machine, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    with (
        proxies.squid(login="basic") as behind,
        proxies.stunnel(behind, authority) as front,
        late_host() as far,
        tunnel(
            machine, f"127.0.0.1:{far}", front.with_login, SSL_CERT_FILE=str(authority.ca)
        ) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
    ):
        assert front.with_login.startswith("https://")
        sock.sendall(b"0123456789")
        sock.shutdown(socket.SHUT_WR)
        assert whole(sock) == b"0123456789" + BIG


def test_tunnels_that_are_quiet_for_a_minute_live(machine: Machine, tmp_path: Path) -> None:
    """Both data planes: raw sockets, and TLS to the proxy."""
    authority = Authority(tmp_path / "ca")
    trust = {"SSL_CERT_FILE": str(authority.ca)}
    with ExitStack() as stack:
        behind = stack.enter_context(proxies.squid())
        front = stack.enter_context(proxies.stunnel(behind, authority))
        target = f"127.0.0.1:{stack.enter_context(proxies.origin())}"
        socks = []
        for url in (behind.url, front.url):
            port = stack.enter_context(tunnel(machine, target, url, **trust))
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.settimeout(10)
            assert sock.recv(100) == GREETING
            socks.append(sock)
        time.sleep(QUIET)
        for sock in socks:
            sock.sendall(b"still there")
            assert sock.recv(100) == b"still there"
