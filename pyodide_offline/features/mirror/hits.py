"""Answers by raw ASGI: a file that is held, a file that grows, bytes in memory.

RFC 9110: ETag and If-None-Match (§13.1.2), one range (§14.2) with If-Range (§13.1.5), HEAD.
A held file is named to the server, which sends it from Rust; a small one is sent from
memory. Behind nginx a held file is only named to nginx (X-Accel-Redirect). A body that
fails midway ends short of its length: the connection is closed, and no client takes it
for the whole.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.growing import CHUNK, Growing
from pyodide_offline.features.mirror.links import Links
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Receive, Scope, Send, header
from pyodide_offline.features.mirror.wanted import Held, Want

Headers = list[tuple[bytes, bytes]]

SMALL = 16 << 10
ROOM = 32 << 20
HOTTEST = 1000  # small files that need no look at the disk
WARM = 30.0  # seconds
_CONDITIONS = frozenset({b"range", b"if-none-match", b"if-range"})
FOREVER = b"public, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True)
class _Hot:
    kind: str
    headers: Headers
    body: bytes
    until: float


class Hits:
    """``accel`` maps folders to the internal address under which nginx has them.

    ``links`` are what nginx sends without asking.
    """

    def __init__(
        self, events: Events, accel: Mapping[Path, str] | None = None, links: Links | None = None
    ) -> None:
        self._events = events
        self._links = links
        self._accel = dict(accel or {})
        self._small: OrderedDict[str, bytes] = OrderedDict()
        self._room = ROOM
        self._hot: dict[str, _Hot] = {}

    async def hot(self, scope: Scope, send: Send) -> bool:
        """Answer with a small file that was sent before, if it is asked for plainly again.

        Its bytes were hashed when they were read, and what its name stands for is looked up
        anew now and then.
        """
        found = self._hot.get(scope["path"])
        if found is None or scope["method"] != "GET":
            return False
        if found.until < time.monotonic():
            del self._hot[scope["path"]]
            return False
        if any(name in _CONDITIONS for name, _ in scope["headers"]):
            return False
        self._events.hit(found.kind)
        self._events.sent(found.kind, len(found.body))
        await send({"type": "http.response.start", "status": 200, "headers": found.headers})
        await send({"type": "http.response.body", "body": found.body})
        return True

    async def send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        pull: Pull,
        kind: str,
        found: Held | None,
        want: Want | None,
    ) -> None:
        """Answer with a file that was found, else with the one that is wanted."""
        file = found or (await pull.file(want) if want else None)
        if isinstance(file, Held):
            await self.held(scope, send, kind, file)
        elif file and want:
            await self.growing(scope, receive, send, kind, file, want.content_type)

    async def held(self, scope: Scope, send: Send, kind: str, file: Held) -> None:
        """Answer with a file that is held."""
        self._events.hit(kind)
        if self._links is not None:
            self._links.add(scope["path"], file)
        etag = f'"{file.integrity}"'
        headers = _headers(file.content_type, etag)
        if _unchanged(scope, etag):
            await _start(send, 304, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        status, start, stop = _asked(scope, etag, file.size)
        headers.append((b"content-length", b"%d" % (stop - start)))
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, file.size)))
        elif status == 416:
            headers.append((b"content-range", b"bytes */%d" % file.size))
        elif accel := self._accelerated(file.path):
            headers[-1] = (b"x-accel-redirect", accel)
        await _start(send, status, headers)
        if scope["method"] == "HEAD" or start == stop or headers[-1][0] == b"x-accel-redirect":
            await send({"type": "http.response.body", "body": b""})
            return
        self._events.sent(kind, stop - start)
        if file.size <= SMALL and (body := self._from_memory(file)) is not None:
            if status == 200:
                self._heat(scope["path"], _Hot(kind, headers, body, time.monotonic() + WARM))
            await send({"type": "http.response.body", "body": body[start:stop]})
        elif status == 200 and "http.response.pathsend" in scope.get("extensions", ()):
            await send({"type": "http.response.pathsend", "path": str(file.path)})
        else:
            await _body(send, _read(file.path, start, stop))

    async def growing(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        kind: str,
        file: Growing,
        content_type: str,
    ) -> None:
        """Answer with a file as it grows. Raises what it fails with, also when half is sent."""
        size = await file.length()
        etag = f'"{file.expected.sri}"' if file.expected else ""
        headers = _headers(content_type, etag)
        if etag and _unchanged(scope, etag):
            await _start(send, 304, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        status, start, stop = _asked(scope, etag, size)
        headers.append((b"content-length", b"%d" % (stop - start)))
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, size)))
        elif status == 416:
            headers.append((b"content-range", b"bytes */%d" % size))
        if scope["method"] == "HEAD" or start == stop:
            await _start(send, status, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        chunks = file.chunks(start, stop)
        # What fails before a first byte can still be told.
        first = await anext(chunks)
        await _start(send, status, headers)
        await send({"type": "http.response.body", "body": first, "more_body": True})
        if await _until_gone(receive, _body(send, chunks)):
            self._events.sent(kind, stop - start)

    def _heat(self, path: str, hot: "_Hot") -> None:
        if len(self._hot) >= HOTTEST:
            self._hot.clear()
        self._hot[path] = hot

    def _accelerated(self, path: Path) -> bytes:
        for folder, address in self._accel.items():
            if path.is_relative_to(folder):
                return f"{address}{quote(path.relative_to(folder).as_posix())}".encode()
        return b""

    def _from_memory(self, file: Held) -> bytes | None:
        key = file.digest.hex
        if (body := self._small.get(key)) is not None:
            return body
        try:
            body = file.path.read_bytes()
        except OSError:
            return None
        if digests.of_bytes(body) != file.digest:
            return None
        self._small[key] = body
        self._room -= len(body)
        while self._room < 0:
            self._room += len(self._small.popitem(last=False)[1])
        return body


@dataclass(frozen=True)
class Answer:
    """A small answer as it is."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Sequence[tuple[bytes, bytes]] = ()

    async def send(self, scope: Scope, send: Send) -> None:
        """Send it; to HEAD without the body, and 304 where the client has it."""
        headers: Headers = [(b"content-type", self.content_type.encode()), *self.headers]
        etag = next((value.decode() for name, value in self.headers if name == b"etag"), "")
        if self.status == 200 and etag and _unchanged(scope, etag):
            await _start(send, 304, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        headers.append((b"content-length", b"%d" % len(self.body)))
        await _start(send, self.status, headers)
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


def warning(why: str) -> tuple[bytes, bytes]:
    """Return the header of an index that may be old (RFC 7234 §5.5.2, code 111)."""
    text = re.sub(r"[^ -~]|[\"\\]", "'", why)[:200]
    return b"warning", f'111 - "Revalidation failed: {text}"'.encode()


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, work: Awaitable[None]) -> bool:
    """Do the work unless the client hangs up before; say whether it was done."""
    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        for task in (working, listening):
            task.cancel()
        await asyncio.gather(working, listening, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
            start += len(chunk)
            yield chunk


def _headers(content_type: str, etag: str) -> Headers:
    headers = [
        (b"content-type", content_type.encode("latin-1", "replace")),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", FOREVER),
    ]
    if etag:
        headers.append((b"etag", etag.encode()))
    return headers


def _unchanged(scope: Scope, etag: str) -> bool:
    """RFC 9110 §13.1.2, with the weak comparison that it asks for."""
    asked = header(scope, b"if-none-match")
    if not asked:
        return False
    tags = {one.strip().removeprefix("W/") for one in asked.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _asked(scope: Scope, etag: str, size: int) -> tuple[int, int, int]:
    """Return status, start and stop for what is asked of a body; several ranges are not split."""
    text = header(scope, b"range")
    condition = header(scope, b"if-range")
    if not text or scope["method"] != "GET" or (condition and condition != etag):
        return 200, 0, size
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match.group(0) == "bytes=-" or len(text) > 60:
        return 200, 0, size
    first, last = match[1], match[2]
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if not last else min(size, int(last) + 1)
        if last and int(last) < start:
            return 200, 0, size
    return (206, start, stop) if start < stop else (416, 0, 0)
