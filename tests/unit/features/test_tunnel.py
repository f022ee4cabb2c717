"""A tunnel for a command: the hosts file, signals, the status."""

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager

import pytest

from pyodide_offline.errors import NetworkError, SettingsError, ToolchainError
from pyodide_offline.features import tunnel
from pyodide_offline.features.tunnel import Options
from pyodide_offline.network import connect, hosts
from pyodide_offline.network.connect import Dialed
from pyodide_offline.network.targets import Listen, Target
from pyodide_offline.network.tunnel import Statistics

ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as sock:
    sock.sendall(b"question")
    sock.shutdown(socket.SHUT_WR)
    answer = sock.makefile("rb").read()
sys.exit(41 if answer == b"answer" else 1)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def far_host():
    """A host that answers once its question has ended; yields its port."""

    def serve():
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                while sock.recv(100):
                    pass
                sock.sendall(b"answer")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def options(port, far, **more):
    return Options(listen=Listen(port=port), targets=[Target("localhost", far)], **more)


def test_a_command_is_run_and_its_status_returned(session):
    said: list[str] = []
    port = free_port()
    with far_host() as far:
        command = [sys.executable, "-c", ASK, str(port)]
        assert tunnel.run(session, command, said.append, print, options(port, far)) == 41
    assert said == [
        f"127.0.0.1:{port} leads to localhost:{far} directly",
        "1 connections (1 at once), 8 bytes sent, 6 bytes received, 0 refused, 0 failed",
    ]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_metrics_are_told_at_the_end_and_at_the_signal(session):
    told: list[object] = []
    command = [sys.executable, "-c", f"import os, signal; os.kill({os.getpid()}, signal.SIGUSR1)"]
    wanted = options(free_port(), 1, metrics=True)
    assert tunnel.run(session, command, print, told.append, wanted) == 0
    assert told == [Statistics().record()] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_command_it_lasts_until_a_signal(session, number):
    def say(sentence):
        if "leads to" in sentence:
            os.kill(os.getpid(), number)

    status = tunnel.run(session, [], say, print, options(free_port(), 1))
    assert status == 128 + number
    assert signal.getsignal(number) != signal.SIG_IGN


def test_a_signal_before_the_command_runs_is_passed_on(session):
    def say(sentence):
        if "leads to" in sentence:
            os.kill(os.getpid(), signal.SIGTERM)

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert tunnel.run(session, command, say, print, options(free_port(), 1)) == 143


def test_the_hosts_file_names_the_targets_meanwhile(session, tmp_path, monkeypatch):
    file = tmp_path / "hosts"
    file.write_text("10.0.0.1 x\n")
    monkeypatch.setenv(hosts.VARIABLE, str(file))
    copy = f"import shutil; shutil.copy({str(file)!r}, {str(tmp_path / 'copy')!r})"
    wanted = options(free_port(), 1, hosts=True)
    assert tunnel.run(session, [sys.executable, "-c", copy], print, print, wanted) == 0
    assert (tmp_path / "copy").read_text().startswith("127.0.0.1\tlocalhost\t# pyodide-offline")
    assert file.read_text() == "10.0.0.1 x\n"


def test_the_hosts_file_is_given_back_when_the_command_cannot_be_started(
    session, tmp_path, monkeypatch
):
    file = tmp_path / "hosts"
    file.write_text("10.0.0.1 x\n")
    monkeypatch.setenv(hosts.VARIABLE, str(file))
    with pytest.raises(ToolchainError, match="no program"):
        tunnel.run(session, ["no-such"], print, print, options(free_port(), 1, hosts=True))
    assert file.read_text() == "10.0.0.1 x\n"


def test_without_hosts_the_file_is_not_touched_but_old_lines_are_told(
    session, tmp_path, monkeypatch
):
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1\ta\t# pyodide-offline tunnel pid=4194399 began=1\n")
    monkeypatch.setenv(hosts.VARIABLE, str(file))
    said: list[str] = []
    tunnel.run(session, ["true"], said.append, print, options(free_port(), 1))
    assert any("was killed (pid 4194399)" in one for one in said)
    assert "4194399" in file.read_text()


def test_a_taken_port_is_an_error_and_nothing_is_left(session, monkeypatch, tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(NetworkError, match="taken"),
    ):
        tunnel.run(session, ["true"], print, print, options(taken.getsockname()[1], 1))
    assert not [one for one in threading.enumerate() if one.name == "tunnel"]


def test_a_proxy_that_cannot_be_used_is_told_before_anything_starts(session):
    with pytest.raises(SettingsError):
        tunnel.run(session, ["true"], print, print, options(0, 1, proxies=["gopher://x"]))


def test_the_proxies_are_named_without_password_and_dialled(session, monkeypatch):
    said: list[str] = []
    seen = []

    async def dial(host, port, upstreams, *, environ):
        seen.append((host, port, [str(one) for one in upstreams]))
        near, far = socket.socketpair()
        far.sendall(b"answer")
        far.close()
        near.setblocking(False)
        return Dialed(near)

    monkeypatch.setattr(connect, "dial", dial)
    port = free_port()
    wanted = Options(
        Listen(port=port), [Target("a.example", 443)], proxies=["http://me:secret@p.example:3128"]
    )
    command = [sys.executable, "-c", ASK, str(port)]
    tunnel.run(session, command, said.append, print, wanted)
    assert said[0].endswith("leads to a.example:443 through http://p.example:3128")
    assert "secret" not in "".join(said)
    assert seen == [("a.example", 443, ["http://p.example:3128"])]
