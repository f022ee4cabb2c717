"""The waiting end of the shim's socket."""

import os
import socket
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.workers import broker, shim
from pyodide_offline.workers.answer import Answer


@contextmanager
def serving(answering):
    with broker.serving(answering, print) as path:
        assert path is not None
        yield path


def ask(path, message=b"config"):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(path)
        shim.send(peer, message)
        error = shim.receive(peer).decode()
        return error or shim.receive(peer).decode(), None if error else shim.receive(peer)


def test_each_shim_gets_its_answer():
    def answering(message):
        return Answer(("--f", "--g"), message.upper())

    with serving(answering) as path:
        assert ask(path, b"one") == ("--f\0--g", b"ONE")
        assert ask(path, b"two") == ("--f\0--g", b"TWO")


def test_nobody_else_can_reach_the_socket():
    with serving(lambda m: Answer((), m)) as path:
        assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700


def test_the_socket_is_gone_afterwards():
    with serving(lambda m: Answer((), m)) as path:
        pass
    assert not Path(path).parent.exists()


def test_an_error_of_the_user_travels_as_its_text():
    def answering(message):
        raise NetworkError("No way out.", next_step="Set HTTPS_PROXY.")

    with serving(answering) as path:
        assert ask(path)[0] == "No way out. Set HTTPS_PROXY."


def test_a_peer_that_sends_half_does_not_stop_the_next():
    with serving(lambda m: Answer((), m)) as path:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.sendall(b"\0\0\0\0\0\0\0\x09abc")
        assert ask(path)[1] == b"config"


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
def test_frames_of_any_size_arrive_whole(size):
    with serving(lambda m: Answer((), m)) as path:
        assert ask(path, bytes(size))[1] == bytes(size)


def test_frames_survive_the_smallest_pieces():
    one, other = socket.socketpair()
    data = b"a frame in pieces"

    def drip():
        for byte in len(data).to_bytes(shim.HEAD, "big") + data:
            one.sendall(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    assert shim.receive(other) == data
    thread.join()
    one.close()
    other.close()


def test_last_words_pass_through_and_their_end_is_kept():
    words = broker.LastWords()
    reading, writing = os.pipe()
    onward_reading, onward = os.pipe()
    words.hear(reading, onward)
    said = b"first\n" + b"x" * (1 << 15) + b"\nlast\n"
    with os.fdopen(writing, "wb") as end, os.fdopen(onward_reading, "rb") as heard:
        end.write(said)
        end.close()
        # Nobody else holds the other end: what was passed on ends too.
        assert heard.read() == said
    text = words.text()
    assert text.endswith("\nlast\n")
    assert (len(text), "first" in text) == (1 << 14, False)


def test_a_reader_that_has_gone_does_not_hold_workerd_up():
    words = broker.LastWords()
    reading, writing = os.pipe()
    onward_reading, onward = os.pipe()
    os.close(onward_reading)
    words.hear(reading, onward)
    with os.fdopen(writing, "wb") as end:
        end.write(b"x" * (1 << 20))
    assert words.text(10).endswith("x")


def test_the_last_workerds_words_count():
    words = broker.LastWords()
    for said in (b"one", b"two"):
        reading, writing = os.pipe()
        words.hear(reading, os.open(os.devnull, os.O_WRONLY))
        os.write(writing, said)
        os.close(writing)
        assert words.text() == said.decode()
