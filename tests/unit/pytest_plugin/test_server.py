"""What a started server promises, tried on servers that keep and break it."""

import os
import signal
import socket
from pathlib import Path

import pytest

from pyodide_offline.errors import ToolchainError
from pyodide_offline.pytest_plugin.server import Port, Server


def begin(command: list[str], folder: Path, **env: str) -> Server:
    port = Port()
    words = [*command, "--port", str(port.number)]
    environ = {**os.environ, **env}
    one = Server.start(words, folder, port=port.number, env=environ, log=folder / "log")
    port.release()
    return one


def test_a_server_is_asked_and_ended(command: list[str], tmp_path: Path) -> None:
    one = begin(command, tmp_path, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    try:
        one.wait(20)
        assert one.get("/page?a=b") == "/page?a=b"
        assert one.post("/", name="Ada & Grace") == "name=Ada+%26+Grace"
        assert list(one.processes()) == [one.process.pid]
    finally:
        assert one.stop() == -signal.SIGTERM
    assert one.processes() == {}
    assert one.log.startswith("listening\n")


def test_a_status_is_an_answer_too(command: list[str], tmp_path: Path) -> None:
    one = begin(command, tmp_path)
    try:
        one.wait(20)
        answer = one.fetch("/missing")
        assert (answer.status, answer.headers["x-name"], answer.text) == (404, "value", "/missing")
        with pytest.raises(AssertionError, match=r"GET /missing was answered with 404:\n/missing"):
            one.get("/missing")
    finally:
        one.stop()


def test_what_left_the_session_is_ended_too(command: list[str], tmp_path: Path) -> None:
    one = begin([*command, "--leave"], tmp_path)
    one.wait(20)
    assert any("sleep 300" in words for words in one.processes().values())
    one.stop()
    assert one.processes() == {}


def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    one = Server.start(["sh", "-c", script], tmp_path, port=1, env=os.environ, log=tmp_path / "log")
    while "ready" not in one.log:
        pass
    assert one.stop(timeout=0.1) == -signal.SIGKILL
    assert one.processes() == {}


def test_an_early_end_is_told_with_the_logs_end(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo line $i; done; exit 3"
    one = Server.start(["sh", "-c", script], tmp_path, port=1, env=os.environ, log=tmp_path / "log")
    with pytest.raises(ToolchainError, match="ended with 3 before it answered") as raised:
        one.wait(20)
    assert raised.value.why.splitlines() == [f"line {number}" for number in range(21, 61)]


def test_silence_is_told_with_the_log(tmp_path: Path) -> None:
    one = Server.start(
        ["sh", "-c", "echo thinking; exec sleep 60"],
        tmp_path,
        port=1,
        env=os.environ,
        log=tmp_path / "log",
    )
    try:
        while "thinking" not in one.log:
            pass
        with pytest.raises(ToolchainError, match=r"no answer in 0 s\. thinking"):
            one.wait(0.3)
    finally:
        one.stop()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="Cannot start no-such-program: No such file"):
        Server.start(["no-such-program"], tmp_path, port=1, env={}, log=tmp_path / "log")


def test_a_held_port_is_nobody_elses_and_can_be_listened_on() -> None:
    held = Port()
    others = [Port() for _ in range(50)]
    assert held.number not in {other.number for other in others}
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", held.number))
        listener.listen()
    for port in (held, *others):
        port.release()
