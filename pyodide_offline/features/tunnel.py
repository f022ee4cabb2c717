"""A tunnel for one command, or until a signal: listeners, hosts file, statistics, all given back.

The loop runs in a thread of its own: the main thread is where signals arrive, and where a
command is waited for.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from pyodide_offline import process
from pyodide_offline.network import background, dialing, hosts, targets, ways
from pyodide_offline.network.targets import Listen, Naming, Target, joined
from pyodide_offline.network.tunnel import Tunnel
from pyodide_offline.session import Session
from pyodide_offline.workers import origin

Say = Callable[[str], None]
Tell = Callable[[Mapping[str, Any]], None]

METRICS_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Options:
    """What is asked for. ``idle`` in seconds; no targets: what the project's workerd wants."""

    listen: Listen = field(default_factory=Listen)
    targets: Sequence[Target] = ()
    proxies: Sequence[str] = ()
    hosts: bool = False
    idle: float | None = None
    metrics: bool = False
    wrangler: str | None = None
    naming: Naming = field(default_factory=Naming)


def run(
    session: Session, words: Sequence[str], say: Say, tell: Tell, options: Options | None = None
) -> int:
    """Tunnel while a command runs and return its exit status; without one until a signal.

    ``tell`` gets the statistics, each METRICS_EVERY seconds with ``options.metrics`` and
    at SIGUSR1. Raises NetworkError if there can be no listener.
    """
    options = options or Options()
    wanted = options.targets or origin.targets(session, "tunnel", options.wrangler)
    found = ways.find(session, wanted, options.proxies)
    groups = targets.plan(options.listen, wanted)
    dialer = dialing.Dialer(session, found, options.naming)
    if options.hosts:
        dialer.resolve()
    tunnel = Tunnel(groups, dialer.dial, say, idle=options.idle)

    def told() -> None:
        tell(tunnel.statistics.record())

    with _Signals(told) as signals:
        with _running(tunnel, told, METRICS_EVERY if options.metrics else None):
            dialer.listening = tunnel.addresses
            for group, address in zip(groups, tunnel.addresses, strict=True):
                for one in group.targets:
                    say(f"{joined(*address)} leads to {one} {ways.by(found[one])}")
            with _hosts(session, options, wanted, say):
                status = signals.supervise(words, session.environ)
        say(tunnel.statistics.summary())
        if options.metrics:
            told()
        return status


def _hosts(session: Session, options: Options, wanted: Sequence[Target], say: Say) -> Any:  # noqa: ANN401
    file = hosts.path(session.environ)
    if options.hosts:
        address = options.listen.address if options.listen.loopback else targets.LOOPBACK
        address = targets.LOOPBACK if address == "localhost" else address
        return hosts.lines(file, [one.host for one in wanted], address, say)
    if left := hosts.left_behind(file):
        say(
            f"{file} has lines of a tunnel that was killed (pid {left[0].pid}); "
            "tunnel --hosts takes them out."
        )
    return nullcontext()


@contextmanager
def _running(tunnel: Tunnel, tell: Callable[[], None], every: float | None) -> Iterator[None]:
    with background.loop("tunnel") as do:
        do(tunnel.start())
        repeating = do(_start(background.repeat(every, tell))) if every else None
        try:
            yield
        finally:
            if repeating:
                repeating.cancel()
            do(tunnel.stop())


async def _start(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    return asyncio.create_task(work)


class _Signals:
    """Has a signal end the wait instead of the process, so that everything is given back."""

    def __init__(self, on_usr1: Callable[[], None]) -> None:
        self._on_usr1 = on_usr1
        self._came: int | None = None
        self._awake = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                if number := getattr(signal, name, None):
                    self._before[number] = signal.signal(number, self._end)
            if sys.platform != "win32":
                self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._usr1)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def supervise(self, words: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run the command, or wait for a signal; return the exit status."""
        if words and self._came is None:
            return process.supervise(words, env=environ, started=self._pass_on)
        while self._came is None:
            # With a timeout, or Windows hears of no Ctrl-C meanwhile.
            self._awake.wait(3600 if sys.platform != "win32" else 0.5)
        return 128 + self._came

    def _pass_on(self) -> None:
        """Give the command a signal that came before it could have one."""
        if self._came is not None:
            os.kill(os.getpid(), self._came)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._came = number
        self._awake.set()

    def _usr1(self, _number: int, _frame: FrameType | None) -> None:
        self._on_usr1()
