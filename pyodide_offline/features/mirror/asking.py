"""Asking a mirror: one that is an ASGI application in this process, or one that runs elsewhere.

Both stream: an archive is never whole in memory.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import NetworkError
from pyodide_offline.features.mirror.replies import App
from pyodide_offline.features.mirror.sync import Answer, Asking
from pyodide_offline.network.mirrored import Mirror

if TYPE_CHECKING:
    import httpx

_AHEAD = 4  # pieces that may wait for their reader
_IDLE = 60.0  # seconds without a byte
_HERE = ("127.0.0.1", 80)


def inside(app: App) -> Asking:
    """Return a way to ask an application in this process; its lifespan is the caller's."""

    @asynccontextmanager
    async def ask(path: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        answer = _Inside(path)
        task = asyncio.create_task(answer.run(app, headers))
        try:
            await answer.begun()
            yield answer
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    return ask


class _Inside:
    """One request to an application, and its answer as it comes."""

    def __init__(self, path: str) -> None:
        self.status = 0
        self._path = path
        self._pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_AHEAD)

    async def run(self, app: App, headers: Mapping[str, str]) -> None:
        parts = urlsplit(self._path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode("ascii"),
            "query_string": parts.query.encode("ascii"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in {"host": "localhost", **headers}.items()
            ],
            "client": _HERE,
            "server": _HERE,
            "extensions": {},
        }
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:
            await self._pieces.put(error)
        else:
            await self._pieces.put(None)

    async def begun(self) -> None:
        """Wait for the status."""
        first = await self._pieces.get()
        if first != b"":
            raise self._broken(first)

    async def chunks(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise self._broken(piece)
            if piece:
                yield piece
        if not self._whole:
            raise self._broken(None)

    _whole = False

    async def _receive(self) -> MutableMapping[str, Any]:
        await asyncio.Event().wait()  # nothing is sent, and nobody goes away
        raise AssertionError

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._pieces.put(b"")
        elif message["type"] == "http.response.body":
            self._whole = not message.get("more_body", False)
            if body := message.get("body", b""):
                await self._pieces.put(bytes(body))

    def _broken(self, error: object) -> NetworkError:
        why = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else ""
        return NetworkError(f"The mirror breaks off {self._path}.", why=redact.text(why))


@asynccontextmanager
async def elsewhere(mirror: Mirror, trust: ssl.SSLContext) -> AsyncIterator[Asking]:
    """Yield a way to ask a mirror over the network, directly."""
    import httpx

    timeout = httpx.Timeout(_IDLE, connect=10)
    async with httpx.AsyncClient(verify=trust, timeout=timeout, trust_env=False) as client:

        @asynccontextmanager
        async def ask(path: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
            asked = {"Accept-Encoding": "identity", **headers, **mirror.headers}
            try:
                async with client.stream("GET", f"{mirror.url}{path}", headers=asked) as response:
                    yield _Elsewhere(response)
            except httpx.HTTPError as error:
                why = redact.text(f"{type(error).__name__}: {error}".rstrip(": "))
                raise NetworkError(
                    f"The mirror {mirror.url} breaks off, or is not reached.",
                    why=why,
                    next_step="Type: pyodide-offline doctor --mirror " + mirror.url,
                ) from error

        yield ask


class _Elsewhere:
    def __init__(self, response: "httpx.Response") -> None:
        self.status = response.status_code
        self._response = response

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.aiter_raw()
