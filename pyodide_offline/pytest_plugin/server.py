"""A dev server for the length of a test: started, asked, and ended with nothing left.

Each process of a server inherits a mark in its environment, so one that left the session
is found too (where there is a /proc). Loaded by the fixtures only when a test wants one.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Self

from pyodide_offline.errors import ToolchainError

MARK = "PYODIDE_OFFLINE_TEST_SERVER"
_LINES = 40
# The server is on this machine: a proxy that the environment names is not asked.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """What the worker answered, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class Port:
    """A port of the loopback interface that nobody else is given while this is held.

    Bound and not listening: with SO_REUSEADDR on both sides, as Node and workerd set it,
    the server can still listen there, and no other program's free port is this one.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        if sys.platform != "win32":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]
        if sys.platform == "win32":
            self._socket.close()

    def release(self) -> None:
        """Let go of it."""
        self._socket.close()


class Server:
    """A started dev server: ``url``, its log, pages, and its end."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path, mark: str) -> None:
        self.process = process
        self.url = url
        self._log = log
        self._mark = mark

    @classmethod
    def start(
        cls, command: Sequence[str], folder: Path, *, port: int, env: Mapping[str, str], log: Path
    ) -> Self:
        """Start a command that will listen on ``port``. Raises ToolchainError if it cannot be."""
        mark = uuid.uuid4().hex
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    list(command),
                    cwd=folder,
                    env={**env, MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # A Ctrl-C is pytest's: the server is ended by its fixture.
                    start_new_session=True,
                )
        except OSError as error:
            raise ToolchainError(f"Cannot start {command[0]}: {error.strerror}.") from error
        return cls(process, f"http://127.0.0.1:{port}", log, mark)

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def fetch(
        self,
        path: str,
        data: bytes | None = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        """Send a request and return the answer, of any status."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.url + path, data=data, method=method, headers=dict(headers or {})
        )
        try:
            with _direct.open(request, timeout=timeout) as answer:
                return _answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    def get(self, path: str) -> str:
        """Return a page's text. AssertionError for a status of 400 or more."""
        return _well(f"GET {path}", self.fetch(path))

    def post(self, path: str, **form: str) -> str:
        """Post a form and return the answer's text. AssertionError as for ``get``."""
        return _well(f"POST {path}", self.fetch(path, urllib.parse.urlencode(form).encode()))

    def wait(self, timeout: float) -> None:
        """Return when the server answers, with any status. Raises ToolchainError."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self.process.poll()
            if status is not None:
                raise ToolchainError(
                    f"The worker's server ended with {status} before it answered.", why=self.end()
                )
            try:
                self.fetch("/")
            except (OSError, HTTPException):
                time.sleep(0.01)
            else:
                return
        raise ToolchainError(
            f"The worker's server gave no answer in {timeout:.0f} s.", why=self.end()
        )

    def end(self, lines: int = _LINES) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.rstrip().splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGINT to the whole group, as a terminal does, others to the command."""
        if self.process.poll() is None:
            if number == signal.SIGINT and sys.platform != "win32":
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        """End the server, and whatever it has left running; return its exit status."""
        self.send(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        # pywrangler alone dies at once and leaves wrangler, which wants to end well too.
        for pid in self.processes(settle=0.2):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.processes(settle=3)
        self.kill()
        return self.process.wait()

    def processes(self, settle: float = 0.0) -> dict[int, str]:
        """Return the processes that this server started, by id; wait so long for none."""
        deadline = time.monotonic() + settle
        while (found := marked(self._mark)) and time.monotonic() < deadline:
            self.process.poll()
            time.sleep(0.02)
        return found

    def kill(self) -> None:
        """End each process of this server at once, by its own id."""
        while found := self.processes():
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # Its own child has to be waited for, or it stays as a zombie.
            self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def marked(mark: str) -> dict[int, str]:
    """Return the live processes with this mark in their environment, with their commands."""
    found: dict[int, str] = {}
    with suppress(FileNotFoundError):
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = command.decode("utf-8", "replace").strip()
    return found


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    lowered = {name.lower(): value for name, value in headers.items()}
    return Answer(status, lowered, body.decode("utf-8", "replace"))


def _well(request: str, answer: Answer) -> str:
    if answer.status >= 400:
        raise AssertionError(f"{request} was answered with {answer.status}:\n{answer.text}")
    return answer.text
