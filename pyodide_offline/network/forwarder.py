"""What the workers' requests go to in place of the internet: a local socket of this user's.

It takes requests as a proxy gets them and gives each to its origin, by the way that
``outbound`` finds. The socket lies in a folder that nobody else may enter, so there is no
proxy open to other users of the machine, and no secret to be kept.

Where an origin cannot be reached the client's connection is closed: a worker's ``fetch``
then fails as it does without us. What was wrong is said to the user, once.
"""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyodide_offline.errors import NetworkError, PyodideOfflineError
from pyodide_offline.network import handing, hops
from pyodide_offline.network.exchange import Asked, ClientGoneError, OriginBrokeError
from pyodide_offline.network.hops import Target
from pyodide_offline.network.outbound import CHUNK, Connection, Outbound
from pyodide_offline.network.pipe import pipe
from pyodide_offline.network.pool import Pool
from pyodide_offline.network.proxies import Upstream

_SENTENCES = 100  # different ones at most: the names in them are the workers'
_BACKLOG = 256


class Forwarder:
    """A running one. ``path`` is its socket."""

    def __init__(self, outbound: Outbound, say: Callable[[str], None]) -> None:
        self._outbound = outbound
        self._say = say
        self._said: set[str] = set()
        self._pool = Pool()
        self._readers: set[Upstream] = set()
        self._open: set[asyncio.Task[None]] = set()
        # mkdtemp makes it 0700.
        self._folder = tempfile.TemporaryDirectory(prefix="pyodide-offline-")
        self._server: asyncio.Server | None = None
        self.path = str(Path(self._folder.name) / "fetch")

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_unix_server(
            self._accepted, self.path, limit=CHUNK, backlog=_BACKLOG
        )

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._pool.close()
        self._folder.cleanup()
        await asyncio.sleep(0)  # transports close their sockets in the loop's next turn

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Connection(reader, writer)
        if self._server is None:  # it was let in while we stopped
            client.abort()
            return
        task = asyncio.create_task(self._serve(client))
        self._open.add(task)

        def over(done: asyncio.Task[None]) -> None:
            self._open.discard(done)
            if done.cancelled():  # perhaps before its first step
                client.abort()

        task.add_done_callback(over)

    async def _serve(self, client: Connection) -> None:
        data = b""
        try:
            while (asked := await Asked.read(client, data)) is not None:
                if not await self._answer(asked):
                    break
                data = asked.rest
            client.close()
        except ClientGoneError:
            client.abort()
        except Exception as error:
            # Whatever it is, it is the failure of one request.
            client.abort()
            self._tell(error)

    async def _answer(self, asked: Asked) -> bool:
        """Answer one request; true where its connection can have another."""
        if asked.request.method == hops.CONNECT:
            await self._tunnel(asked)
            return False
        if asked.repeatable and (waiting := await self._pool.take(asked.target)):
            try:
                return await self._carry(asked, waiting)
            except OriginBrokeError as error:
                # It was closed just when we took it (RFC 9112 §9.3.1).
                if error.answered:
                    raise self._broken(asked, error) from error
        try:
            if (proxy := await self._reads_http(asked.target)) is not None:
                return (await handing.carry(asked, proxy, self._outbound)).client
            return await self._carry(asked, await self._outbound.open(asked.target))
        except OriginBrokeError as error:
            raise self._broken(asked, error) from error
        except NetworkError as error:
            if error.kind != "forbidden" or not await self._learnt(asked.target):
                raise
            return await self._answer(asked)

    async def _reads_http(self, target: Target) -> Upstream | None:
        """Return the proxy that plain http is handed to, since it refused a tunnel for it."""
        if target.scheme != "http" or not self._readers:
            return None
        first = next(iter(await self._outbound.upstreams(target)), None)
        return first if first in self._readers else None

    async def _learnt(self, target: Target) -> bool:
        """Remember that a proxy gives no tunnel for plain http; false where that is no news."""
        if target.scheme != "http":
            return False
        first = next(iter(await self._outbound.upstreams(target)), None)
        if first is None or first in self._readers or first.scheme not in ("http", "https"):
            return False
        self._readers.add(first)
        return True

    async def _carry(self, asked: Asked, origin: Connection) -> bool:
        try:
            usable = await asked.carry(origin)
        except BaseException:
            origin.abort()
            raise
        if usable.origin:
            self._pool.give(asked.target, Connection(origin.reader, origin.writer, b"", origin))
        else:
            origin.close()
        return usable.client

    async def _tunnel(self, asked: Asked) -> None:
        try:
            origin = await self._outbound.open(asked.target)
        except PyodideOfflineError:
            await asked.refuse(502)
            raise
        await pipe(asked.client, origin, await asked.accept(), origin.early)

    def _broken(self, asked: Asked, error: OriginBrokeError) -> NetworkError:
        return NetworkError(
            f"{asked.target.address} broke off the connection"
            + (" in the middle of its answer." if error.answered else " before it answered."),
            why=f"{error}.",
        )

    def _tell(self, error: Exception) -> None:
        sentence = f"A worker's fetch failed: {str(error) or type(error).__name__}"
        if sentence not in self._said and len(self._said) < _SENTENCES:
            self._said.add(sentence)
            self._say(sentence)
