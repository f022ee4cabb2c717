"""Starting programs: their environment, what they print, their signals and status."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pyodide_offline import redact
from pyodide_offline.errors import ToolchainError

# From linux/prctl.h: orphans of this process's descendants become its children.
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Finished:
    """What a program left: exit status, and its two outputs as text."""

    status: int
    stdout: str
    stderr: str


def capture(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
) -> Finished:
    """Run a program to its end, without standard input. ``timeout`` in seconds.

    Raises ToolchainError if it cannot be started or does not end in time.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ToolchainError(f"Cannot start {command[0]}: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(
            f"{Path(command[0]).name} did not end within {timeout:.0f} s.",
            why=tail(_text(error.stderr) or _text(error.stdout)),
        ) from error
    return Finished(done.returncode, done.stdout, done.stderr)


def _text(output: bytes | str | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def tail(output: str, lines: int = 1) -> str:
    """Return the last non-empty lines of a program's output, secrets out, for an error."""
    kept = [line.strip() for line in output.splitlines() if line.strip()]
    return redact.text(" ".join(kept[-lines:]))[:400]


def supervise(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    started: Callable[[], None] = lambda: None,
    begin: Callable[[], None] | None = None,
) -> int:
    """Run a program in the foreground and return its status as a shell would give it.

    The terminal sends Ctrl-C to the child as well, so it is only ignored here; SIGTERM
    and SIGHUP, which reach this process alone, are passed on. What the child leaves
    running is ended afterwards (Linux: orphans come to us as their subreaper).
    ``started`` is called once it runs, ``begin`` in the child before that. Raises
    ToolchainError if it cannot be started.
    """
    with _Forwarding() as forwarding:
        try:
            child = subprocess.Popen(list(command), env=dict(env), cwd=cwd, preexec_fn=begin)
        except FileNotFoundError as error:
            raise ToolchainError(
                f"There is no program {command[0]!r} to run.",
                next_step="Check its name, or install it; pywrangler and wrangler are brought "
                "for you.",
            ) from error
        except OSError as error:
            raise ToolchainError(
                f"Cannot start {command[0]}: {error.strerror}.",
                next_step="See that it is a program, made for this machine, and executable.",
            ) from error
        reaping = False
        try:
            forwarding.to(child.send_signal)
            # Early enough: nobody is orphaned in the first milliseconds.
            reaping = _become_subreaper()
            started()
            status = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if reaping:
                end_children()
    return 128 - status if status < 0 else status


def attend(pid: int, started: Callable[[], None]) -> int:
    """Wait for a child of ours that supervises a program; return its status.

    Signals are passed on as in ``supervise``, before ``started`` is called. What it
    leaves running, if it was killed itself, is ended.
    """
    reaping = _become_subreaper()
    with _Forwarding() as forwarding:
        forwarding.to(lambda number: _kill(pid, number))
        try:
            started()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        finally:
            forwarding.to(lambda _: None)
    if reaping:
        end_children()
    return 128 - status if status < 0 else status


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class _Forwarding:
    """Signals for the child; one that comes before there is a child waits for it."""

    def __init__(self) -> None:
        self._send: Callable[[int], None] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Forwarding":
        if threading.current_thread() is threading.main_thread():
            # No SIG_IGN: the child would inherit that, and never hear of a Ctrl-C.
            interrupt = _nothing if _in_foreground() else self._forward
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
            for name in ("SIGTERM", "SIGHUP"):
                if number := getattr(signal, name, None):
                    self._before[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, send: Callable[[int], None]) -> None:
        """Say how the child is sent a signal, and give it what has come meanwhile."""
        self._send = send
        early, self._early = self._early, []
        for number in early:
            send(number)

    def _forward(self, number: int, _: FrameType | None) -> None:
        if self._send is None:
            self._early.append(number)
        else:
            # Popen's does nothing once the child was waited for, so never hits a stranger.
            self._send(number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _in_foreground() -> bool:
    """Say whether a terminal's Ctrl-C reaches the child without us."""
    if sys.platform == "win32":
        return True
    try:
        with Path("/dev/tty").open("rb") as tty:
            return os.tcgetpgrp(tty.fileno()) == os.getpgrp()
    except OSError:
        return False


def _become_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def end_children() -> None:
    """End what is left of a child's descendants: SIGTERM, then SIGKILL after two seconds."""
    import time

    for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + patience
        signalled: set[int] = set()
        while children := _children():
            for pid in set(children) - signalled:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                signalled.add(pid)
            while True:
                try:
                    if os.waitpid(-1, os.WNOHANG)[0] == 0:
                        break
                except ChildProcessError:
                    return
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)


def _children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]
