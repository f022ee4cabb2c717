"""Listeners on this machine that lead to named hosts, and to nothing else.

Who dials is a parameter: this module knows no proxy. A listener with one target passes on
whatever comes; one with several reads the name in the ClientHello first, and refuses those
that it does not know.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.network import hello, ports, splice
from pyodide_offline.network.plane import Counts, Far, prepare, reset
from pyodide_offline.network.relay import relay
from pyodide_offline.network.targets import Group, Target, joined

Dial = Callable[[Target], Awaitable[Far]]
Say = Callable[[str], None]

# A client that was let in says which host it wants within this time, in seconds.
HELLO_TIMEOUT = 10.0
# Of the two seconds in which a stop lets go, what open tunnels have to end by themselves.
GRACE = 1.5
# Two sockets a tunnel and a pipe's two ends now and then; the rest is for everything else.
_FILES_A_TUNNEL, _FILES_KEPT = 3, 128


@dataclass
class Statistics(Counts):
    """What has gone through. ``refused``: for no known host; ``failed``: could not be dialled."""

    connections: int = 0
    open: int = 0
    most: int = 0
    refused: int = 0
    failed: int = 0

    def record(self) -> dict[str, int]:
        """Return it as it is printed in JSON."""
        return asdict(self)

    def summary(self) -> str:
        """Say in one line what has gone through."""
        return (
            f"{self.connections} connections ({self.most} at once), {_size(self.sent)} sent, "
            f"{_size(self.received)} received, {self.refused} refused, {self.failed} failed"
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


@dataclass
class Tunnel:
    """A running tunnel. ``spliced`` None: wherever it can be. ``listen`` gives a listener."""

    groups: Sequence[Group]
    dial: Dial
    say: Say
    idle: float | None = None
    spliced: bool | None = None
    listen: Callable[[str, int], socket.socket] = ports.listener
    hello_timeout: float = HELLO_TIMEOUT
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self._listeners: list[tuple[socket.socket, Group]] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._open: set[asyncio.Task[None]] = set()
        self._pipes: splice.Pipes | None = None
        self._said: set[str] = set()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, in the order of the groups."""
        return [sock.getsockname()[:2] for sock, _ in self._listeners]

    async def start(self) -> None:
        """Listen. Raises NetworkError, with nothing left open, where that cannot be."""
        room = asyncio.Semaphore(max(1, (raise_limit() - _FILES_KEPT) // _FILES_A_TUNNEL))
        if splice.possible() if self.spliced is None else self.spliced:
            self._pipes = splice.Pipes()
        try:
            for group in self.groups:
                self._listeners.append((self.listen(group.address, group.port), group))
        except PyodideOfflineError:
            await self.stop()
            raise
        self._accepting = [
            asyncio.create_task(self._accept(sock, group, room)) for sock, group in self._listeners
        ]

    async def stop(self, grace: float = GRACE) -> None:
        """Stop accepting; give open tunnels some time, then reset them."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for sock, _ in self._listeners:
            sock.close()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=grace)
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._pipes:
            self._pipes.close()

    async def _accept(self, sock: socket.socket, group: Group, room: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Without room the next one waits in the kernel's queue.
            await room.acquire()
            try:
                client, _ = await loop.sock_accept(sock)
            except OSError as error:
                # Out of files for all the machine, or a client gone before it was let in.
                self._say_once(f"a connection could not be accepted: {error.strerror}")
                room.release()
                await asyncio.sleep(0.1)
                continue
            except asyncio.CancelledError:
                room.release()
                raise
            task = asyncio.create_task(self._serve(client, group))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            task.add_done_callback(lambda _: room.release())

    async def _serve(self, client: socket.socket, group: Group) -> None:
        told = self.statistics
        told.connections += 1
        told.open += 1
        told.most = max(told.most, told.open)
        try:
            prepare(client)
            target, first = group.targets[0], b""
            if len(group.targets) > 1:
                target, first = await self._choose(client, group)
            far = await self.dial(target)
            if far.raw:
                prepare(far.raw)
            await relay(client, far, told, first=first, idle=self.idle, pipes=self._pipes)
        except _RefusedError as error:
            told.refused += 1
            self._say_once(f"refused: {error}")
        except (PyodideOfflineError, OSError, TimeoutError) as error:
            told.failed += 1
            self._say_once(str(error) or type(error).__name__)
        finally:
            told.open -= 1
            # Does nothing where the relay has closed it; else the client hears of the failure.
            if client.fileno() >= 0:
                reset(client)

    async def _choose(self, client: socket.socket, group: Group) -> tuple[Target, bytes]:
        """Return the target that the client names, and the bytes that it took to know."""
        loop, data = asyncio.get_running_loop(), b""
        where = joined(group.address, group.port)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.hello_timeout):
                while more := await loop.sock_recv(client, hello.LIMIT):
                    data += more
                    try:
                        name = hello.server_name(data)
                    except hello.IncompleteError:
                        continue
                    except hello.NotHelloError as error:
                        raise _RefusedError(f"{where}: {error}, so no host to tell") from None
                    for target in group.targets:
                        if target.host == name:
                            return target, data
                    raise _RefusedError(f"{where}: {name or 'no name'} is not among the targets")
        raise _RefusedError(f"{where}: a client that did not say which host it wants")

    def _say_once(self, sentence: str) -> None:
        # Bounded: the names in refusals are the clients'.
        if sentence not in self._said and len(self._said) < 100:
            self._said.add(sentence)
            self.say(sentence)


class _RefusedError(Exception):
    pass


def raise_limit() -> int:
    """Raise the limit of open files as far as this user may; return it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 16
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a limit below its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft
