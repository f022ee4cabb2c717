"""A dev server as its user starts and ends it, and what it leaves behind.

``started(command, project)`` starts a command such as ``pyodide-offline run -- pywrangler
dev`` on a free port, gives a Server to talk to once it answers, ends it by its own id,
and asserts that no process of it is left: every one inherits a mark in its environment,
so one that left the session is found too.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_GENERATED = ("python_modules", ".venv-workers", ".wrangler", "node_modules", "pylock.toml")
_MARK = "TEST_SERVER_MARK"
# The server is on this machine: a proxy that the environment names is not asked.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """A started dev server: its address, its log, and its end."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path, mark: str) -> None:
        self.process = process
        self.url = url
        self._log = log
        self._mark = mark

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def get(self, page: str) -> str:
        """Return a page's text."""
        return _text(f"{self.url}{page}", None)

    def post(self, page: str, **fields: str) -> str:
        """Post a form and return the answer's text."""
        return _text(f"{self.url}{page}", urllib.parse.urlencode(fields).encode())

    def wait_for_answer(self, timeout: float) -> None:
        """Return when the server answers; AssertionError with its log if it does not."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self.process.poll()
            assert status is None, f"ended with {status} before it answered:\n{self.log}"
            try:
                self.get("/")
            except urllib.error.HTTPError:
                return
            except (OSError, HTTPException):
                time.sleep(0.01)
            else:
                return
        raise AssertionError(f"no answer in {timeout:.0f} s:\n{self.log}")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        """End the server as its user would and return its exit status.

        SIGINT goes to the whole process group, as a terminal's Ctrl-C does; any other
        signal to the command alone. AssertionError if it does not end, or leaves a
        process behind.
        """
        if self.process.poll() is None:
            if number == signal.SIGINT:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end in {timeout:.0f} s:\n{self.log}") from None
        left = self.processes(settle=1.0)
        assert not left, f"left running after {number.name}: {left}\n{self.log}"
        return status

    def processes(self, settle: float = 0.0) -> dict[int, str]:
        """Return the processes that this server started, by id; wait so long for none."""
        deadline = time.monotonic() + settle
        while (found := marked(self._mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def kill(self) -> None:
        """End each process of this server, by its own id."""
        while found := self.processes():
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # Its own child has to be waited for, or it stays as a zombie.
            self.process.wait(10)


@contextmanager
def started(
    command: Sequence[str],
    project: Path,
    *,
    env: Mapping[str, str],
    log: Path,
    timeout: float = 120,
) -> Iterator[Server]:
    """Start ``command`` in ``project`` and give its server once it answers.

    ``--ip`` and ``--port`` are added to the command. What is still running at the end
    of the block is ended with SIGTERM and held to the same promise as ``stop``.
    """
    port = free_port()
    mark = uuid.uuid4().hex
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--ip", "127.0.0.1", "--port", str(port)],
            cwd=project,
            env={**env, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log, mark)
    try:
        server.wait_for_answer(timeout)
        yield server
        server.stop()
    finally:
        server.kill()


def copy_example(name: str, to: Path, date: str | None = None) -> Path:
    """Copy an example as it is in the repository, on request with another date."""
    shutil.copytree(ROOT / "examples" / name, to, ignore=shutil.ignore_patterns(*_GENERATED))
    if date is not None:
        (config,) = to.glob("wrangler.*")
        text = config.read_text(encoding="utf-8")
        changed, count = re.subn(r'(compatibility_date"?\s*[=:]\s*)"[^"]*"', rf'\1"{date}"', text)
        assert count == 1, config
        config.write_text(changed, encoding="utf-8")
    return to


def marked(mark: str) -> dict[int, str]:
    """Return the live processes with this mark in their environment, with their commands."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            if f"{_MARK}={mark}".encode() not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            found[int(folder.name)] = command.decode("utf-8", "replace").strip()
    return found


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _text(url: str, data: bytes | None) -> str:
    with _direct.open(url, data=data, timeout=20) as answer:
        text: str = answer.read().decode("utf-8")
    return text
