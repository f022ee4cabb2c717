"""A tunnel for one command, or until a signal: listeners, hosts file, statistics, all given back.

The loop runs in a thread of its own: the main thread is where signals arrive, and where a
command is waited for.
"""

import asyncio
import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from pyodide_offline import process
from pyodide_offline.errors import NetworkError, ProjectError
from pyodide_offline.network import connect, hosts, targets
from pyodide_offline.network.plane import Far
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.targets import Listen, Target, joined
from pyodide_offline.network.tunnel import Statistics, Tunnel
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session
from pyodide_offline.workers import probe, project
from pyodide_offline.workers.toolchain import chain

Say = Callable[[str], None]
Tell = Callable[[Mapping[str, Any]], None]

METRICS_EVERY = 10.0  # seconds
_STOP_WITHIN = 5.0


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


def run(
    session: Session, words: Sequence[str], say: Say, tell: Tell, options: Options | None = None
) -> int:
    """Tunnel while a command runs and return its exit status; without one until a signal.

    ``tell`` gets the statistics, each METRICS_EVERY seconds with ``options.metrics`` and
    at SIGUSR1. Raises NetworkError if there can be no listener.
    """
    options = options or Options()
    wanted = options.targets or default_targets(session, options.wrangler)
    found = Upstreams(session, options.proxies)
    ways = {one: found.for_target("https", one.host, one.port) for one in wanted}
    groups = targets.plan(options.listen, wanted)
    dialer = _Dialer(session.environ, ways)
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
                    say(f"{joined(*address)} leads to {one} {_by(ways[one])}")
            with _hosts(session, options, wanted, say):
                status = signals.supervise(words, session.environ)
        say(summary(tunnel.statistics))
        if options.metrics:
            told()
        return status


def default_targets(session: Session, wrangler: str | None = None) -> list[Target]:
    """Return where the project's workerd gets its bundle. Raises ProjectError without one."""
    advice = "Name where to: pyodide-offline tunnel --target HOST:443"
    if project.find_config(session.project) is None:
        raise ProjectError(
            f"There is no worker in {session.project} that would tell where a tunnel has to lead.",
            next_step=advice,
        )
    worker = project.read(session.project)
    if not worker.is_python:
        raise ProjectError(f"{worker.config} is of a worker without Python.", next_step=advice)
    found = chain.get(session, pywrangler=False, version=wrangler)
    want = probe.want(session.store, found.wrangler.workerd, worker.date, worker.flags)
    url = urlsplit(want.url)
    if not url.hostname:
        raise ProjectError("workerd does not tell where it gets its bundle.", next_step=advice)
    return [Target(url.hostname, url.port or targets.HTTPS)]


def summary(told: Statistics) -> str:
    """Say in one line what has gone through."""
    return (
        f"{told.connections} connections ({told.most} at once), {_size(told.sent)} sent, "
        f"{_size(told.received)} received, {told.refused} refused, {told.failed} failed"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def _by(upstreams: Sequence[Upstream]) -> str:
    return " or ".join(f"through {one}" for one in upstreams) or "directly"


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


class _Dialer:
    """Dials targets; never this machine's own listeners, to which our hosts lines lead."""

    def __init__(
        self, environ: Mapping[str, str], ways: Mapping[Target, Sequence[Upstream]]
    ) -> None:
        self._environ, self._ways = environ, ways
        self._known: dict[Target, list[str]] = {}
        self.listening: Sequence[tuple[str, int]] = ()

    def resolve(self) -> None:
        """Look up the targets that are dialled directly, before hosts lines hide them."""
        for target, upstreams in self._ways.items():
            if not upstreams:
                self._known[target] = _addresses(target)

    async def dial(self, target: Target) -> Far:
        """Connect to a target. Raises NetworkError."""
        upstreams = self._ways[target]
        if upstreams:
            return await self._connect(target.host, target, upstreams)
        found = [target.host] if _is_address(target.host) else self._known.get(target)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(None, _addresses, target)
        ours = {port for _, port in self.listening}
        if target.port in ours and target.host not in found:
            found = [one for one in found if not Listen(one).loopback]
        failed: NetworkError | None = None
        for address in found:
            try:
                return await self._connect(address, target, ())
            except NetworkError as error:
                failed = error
        raise failed or NetworkError(
            f"{target} has no address but this tunnel's own.",
            why="A line of the hosts file leads here, or no name server answers.",
            next_step="Name a proxy with --proxy: it looks the name up itself.",
        )

    async def _connect(self, host: str, target: Target, upstreams: Sequence[Upstream]) -> Far:
        dialed = await connect.dial(host, target.port, upstreams, environ=self._environ)
        return Far(dialed.socket, dialed.streams, dialed.early)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(target: Target) -> list[str]:
    import socket

    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[0]).partition("%")[0] for *_, address in found]


@contextmanager
def _running(tunnel: Tunnel, tell: Callable[[], None], every: float | None) -> Iterator[None]:
    """Run a tunnel in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tunnel", daemon=True)
    thread.start()

    async def repeat(seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            tell()

    def do(work: Any) -> Any:  # noqa: ANN401 - whatever the coroutine gives
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        do(tunnel.start())
        repeating = asyncio.run_coroutine_threadsafe(repeat(every), loop) if every else None
        try:
            yield
        finally:
            if repeating:
                repeating.cancel()
            do(tunnel.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_WITHIN)
        if not thread.is_alive():
            loop.close()


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
