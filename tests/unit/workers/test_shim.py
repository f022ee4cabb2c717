"""What miniflare starts in place of workerd."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyodide_offline import paths
from pyodide_offline.errors import ProjectError
from pyodide_offline.workers import broker, shim
from pyodide_offline.workers.answer import Answer
from tests.peers import miniflare, workerd
from tests.peers.workerd import Setup

PYTHON = ("core:user:py", "2026-11-17", ("python_workers",), "entry.py")
SCRIPT = ("core:user:js", "2026-11-17", ("nodejs_compat",), "index.js")
# As miniflare 5 calls it: what comes after "-" stays after it.
SERVE = ["serve", "--binary", "--experimental", "--control-fd=3", "-", "--inspector-addr=x"]


def start(fake, message, arguments=SERVE, **environ):
    return subprocess.run(
        [sys.executable, "-I", "-S", shim.__file__, *arguments],
        input=message,
        capture_output=True,
        env={"PATH": os.environ["PATH"], shim.WORKERD: str(fake.path), **environ},
        timeout=60,
        check=False,
    )


@pytest.fixture
def fake(tmp_path):
    return workerd.make(tmp_path / "a folder", Setup(status=7))


def serving(answering, reports):
    return broker.serving(answering, reports.append)


def test_a_python_configuration_is_answered_over_the_socket(fake):
    with serving(
        lambda message: Answer((shim.FLAG + "/the folder", "--x=1"), b"new:" + message[:8]), []
    ) as address:
        message = miniflare.message(PYTHON)
        done = start(fake, message, **{shim.SOCKET: str(address)})
    arguments, received = fake.served()
    assert arguments == ["serve", shim.FLAG + "/the folder", "--x=1", *SERVE[1:]]
    assert received == b"new:" + message[:8]
    assert done.returncode == 7
    assert done.stderr == b""


def test_a_javascript_configuration_asks_nobody(fake):
    asked: list[bytes] = []
    with serving(asked.append, []) as address:
        message = miniflare.message(SCRIPT)
        done = start(fake, message, **{shim.SOCKET: address, shim.FOLDER: "/cache"})
    arguments, received = fake.served()
    assert asked == []
    assert received == message
    assert arguments == ["serve", shim.FLAG + "/cache", *SERVE[1:]]
    assert done.returncode == 7


def test_where_all_is_led_a_javascript_configuration_is_asked_for(fake):
    message = miniflare.message(SCRIPT)
    with serving(lambda _: Answer((shim.FLAG + "/x",), b"led"), []) as address:
        start(fake, message, **{shim.SOCKET: address, shim.LEADING: "1"})
    assert fake.served() == (["serve", shim.FLAG + "/x", *SERVE[1:]], b"led")


def test_a_javascript_configuration_that_cannot_be_led_starts_as_ever(fake):
    def answering(_: bytes) -> Answer:
        raise ProjectError("It does not fit.")

    message = miniflare.message(SCRIPT)
    with serving(answering, []) as address:
        environ = {shim.SOCKET: address, shim.LEADING: "1", shim.FOLDER: "/cache"}
        done = start(fake, message, **environ)
    assert fake.served() == (["serve", shim.FLAG + "/cache", *SERVE[1:]], message)
    assert b"It does not fit." in done.stderr


def test_megabytes_pass_unharmed(fake):
    big = miniflare.message(PYTHON) + os.urandom(5_000_000)
    with serving(lambda message: Answer((), message), []) as address:
        start(fake, big, **{shim.SOCKET: str(address)})
    assert fake.served()[1] == big


@pytest.mark.parametrize(
    "error", [ProjectError("It does not fit.", next_step="Do this."), RuntimeError("a bug")]
)
def test_a_failure_of_ours_is_said_and_workerd_starts_untouched(fake, error):
    def fail(message):
        raise error

    reports: list[str] = []
    message = miniflare.message(PYTHON)
    with serving(fail, reports) as address:
        done = start(fake, message, **{shim.SOCKET: str(address)})
    arguments, received = fake.served()
    assert (arguments, received) == (SERVE, message)
    assert done.returncode == 7
    assert str(error).encode() in done.stderr
    assert b"started as it is" in done.stderr
    assert bool(reports) == isinstance(error, RuntimeError)


def test_a_socket_without_a_listener_is_answered_alone(fake, tmp_path):
    environ = {paths.STORE_VARIABLE: str(tmp_path / "s"), paths.CACHE_VARIABLE: str(tmp_path / "c")}
    message = miniflare.message(SCRIPT) + b"python_workers" + bytes(2)
    done = start(fake, message, **{shim.SOCKET: str(tmp_path / "none"), **environ})
    assert b"cannot be asked" in done.stderr
    # There is no schema beside the stand-in, so this fails too, and workerd still starts.
    assert b"workerd.capnp" in done.stderr
    assert fake.served() == (SERVE, message)


def test_a_peer_that_goes_away_does_not_stop_the_start(fake, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def hang_up():
        peer, _ = listener.accept()
        peer.recv(100)
        peer.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    message = miniflare.message(PYTHON)
    start(fake, message, **{shim.SOCKET: str(tmp_path / "s")})
    thread.join()
    listener.close()
    assert fake.served() == (SERVE, message)


@pytest.mark.parametrize("arguments", [["--version"], ["compile", "x.capnp"], ["serve", "x.capnp"]])
def test_other_calls_become_workerd_as_they_are(fake, arguments):
    environ = dict.fromkeys([shim.SOCKET], "/none")
    if arguments == ["--version"]:
        assert start(fake, b"", arguments, **environ).stdout == b"workerd 2026-11-17\n"
    start(fake, b"", arguments, **environ)
    assert fake.calls()[-1] == arguments


def test_a_cache_folder_that_is_named_already_is_kept(fake):
    arguments = ["serve", "--binary", shim.FLAG + "/mine", "-"]
    start(fake, miniflare.message(SCRIPT), arguments, **{shim.FOLDER: "/cache"})
    assert fake.served()[0] == arguments


def test_without_a_workerd_it_says_how_to_start(fake):
    done = start(fake, b"", **{shim.WORKERD: ""})
    assert done.returncode == 127
    assert b"pyodide-offline run" in done.stderr


def test_a_workerd_that_is_not_there_is_said(fake, tmp_path):
    done = start(fake, b"", ["--version"], **{shim.WORKERD: str(tmp_path / "none")})
    assert done.returncode == 126
    assert b"cannot be started" in done.stderr


def test_the_process_is_workerds_own(fake):
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", shim.__file__, *SERVE],
        stdin=subprocess.PIPE,
        env={shim.WORKERD: str(fake.path)},
    )
    child.communicate(miniflare.message(SCRIPT))
    assert json.loads(Path(str(fake.log) + ".served").read_text())["pid"] == child.pid


def test_only_the_standard_library_is_loaded_on_the_fast_way(fake):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", shim.__file__, *SERVE],
        input=miniflare.message(SCRIPT),
        env={shim.WORKERD: str(fake.path)},
        capture_output=True,
        check=False,
    )
    loaded = {line.rsplit(b"|", 1)[-1].strip().decode() for line in done.stderr.splitlines()}
    assert loaded.isdisjoint({"json", "socket", "typing", "pathlib", "subprocess", "re", "site"})
    assert "os" in loaded or "posix" in loaded


def test_the_module_socket_is_not_loaded_to_ask(fake):
    with serving(lambda message: Answer((), message), []) as address:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-X", "importtime", shim.__file__, *SERVE],
            input=miniflare.message(PYTHON),
            env={shim.WORKERD: str(fake.path), shim.SOCKET: str(address)},
            capture_output=True,
            check=False,
        )
    loaded = {line.rsplit(b"|", 1)[-1].strip().decode() for line in done.stderr.splitlines()}
    assert "_socket" in loaded
    assert loaded.isdisjoint({"socket", "selectors", "site"})


@pytest.mark.parametrize("way", ["pipe", "socket"])
def test_the_waiting_run_hears_what_workerd_says_and_so_does_miniflare(tmp_path, way):
    program = tmp_path / "workerd"
    program.write_text('#!/bin/sh\necho "what workerd says" >&2\nexit 3\n')
    program.chmod(0o755)
    words = broker.LastWords()
    reading, writing = os.pipe()
    if way == "socket":
        os.close(reading)
        os.close(writing)
        ours, theirs = socket.socketpair()
        reading, writing = ours.detach(), theirs.detach()
    with broker.serving(lambda message: Answer((), message), print, words) as address:
        environ = {
            "PATH": os.environ["PATH"],
            shim.WORKERD: str(program),
            shim.SOCKET: str(address),
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", shim.__file__, *SERVE],
            input=miniflare.message(PYTHON),
            stdout=subprocess.DEVNULL,
            stderr=writing,
            env=environ,
            timeout=60,
            check=False,
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as heard:
            assert heard.read() == b"what workerd says\n"
        assert words.text() == "what workerd says\n"
    assert done.returncode == 3


def test_standard_error_that_is_a_file_stays_that_file(tmp_path):
    program = tmp_path / "workerd"
    program.write_text("#!/bin/sh\nreadlink /proc/self/fd/2 >&2\n")
    program.chmod(0o755)
    words = broker.LastWords()
    with (
        broker.serving(lambda message: Answer((), message), print, words) as address,
        (tmp_path / "log").open("wb") as log,
    ):
        environ = {
            "PATH": os.environ["PATH"],
            shim.WORKERD: str(program),
            shim.SOCKET: str(address),
        }
        subprocess.run(
            [sys.executable, "-I", "-S", shim.__file__, *SERVE],
            input=miniflare.message(PYTHON),
            stderr=log,
            env=environ,
            timeout=60,
            check=True,
        )
    assert (tmp_path / "log").read_text().strip() == str(tmp_path / "log")
    assert words.text() == ""
