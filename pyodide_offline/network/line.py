"""Small questions and answers over one HTTPS connection that is kept: HTTP/2, or HTTP/1.1.

For DNS over HTTPS, where the client's own work is most of a query's time: httpcore, which
has it all, needs twice the CPU (its locks, a packet each for head, body and end), and its
import is a quarter of a cold start. The protocols are h2's (RFC 9113) and h11's.

- HTTP/2: questions run side by side, each sent in one packet; WINDOW_UPDATE, PING and
  SETTINGS are answered by h2.
- HTTP/1.1: one after the other; a connection that the server closed is opened anew.
- A question that a connection broke off unanswered is asked once more over a fresh one: DNS
  questions change nothing (RFC 9110 §9.2.2).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pyodide_offline.network.sockets import CHUNK, Streams

if TYPE_CHECKING:
    import h2.events

AT_ONCE = 64  # questions; servers allow a hundred and more
ALPN = ("h2", "http/1.1")


class BrokenError(Exception):
    """The connection ended, or what came was not HTTP."""


class TooLargeError(Exception):
    """The answer is longer than was allowed."""


@dataclass(frozen=True)
class Question:
    """A request: ``target`` is path and query, header names are in lower case."""

    method: str
    authority: str
    target: str
    headers: Sequence[tuple[str, str]]
    content: bytes = b""


@dataclass
class Reply:
    """What came: status, content type and content; ``whole`` when it is all there."""

    limit: int
    whole: asyncio.Future[None]
    status: int = 0
    type: str = ""
    content: bytearray = field(default_factory=bytearray)

    def head(self, headers: Sequence[tuple[bytes, bytes]], status: int) -> None:
        """Take in a response's head."""
        self.status = status
        self.type = dict(headers).get(b"content-type", b"").decode("latin-1")

    def add(self, data: bytes) -> None:
        """Take in a part of the content. Raises TooLargeError."""
        self.content += data
        if len(self.content) > self.limit:
            raise TooLargeError


class _Protocol(Protocol):
    closed: bool

    async def ask(self, question: Question, limit: int) -> Reply: ...

    def close(self) -> None: ...


class Line:
    """A connection to one server, opened when it is needed. ``opener`` returns TLS's streams."""

    def __init__(self, opener: Callable[[], Awaitable[Streams]]) -> None:
        self._opener = opener
        self._opening = asyncio.Lock()
        self._open: _Protocol | None = None

    async def ask(self, question: Question, limit: int) -> Reply:
        """Return the answer, of ``limit`` bytes at most.

        Raises BrokenError, TooLargeError, and what the opener raises.
        """
        fresh = self._open is None
        try:
            return await (await self._connection()).ask(question, limit)
        except BrokenError:
            if fresh:
                raise
        return await (await self._connection()).ask(question, limit)

    def close(self) -> None:
        """Close what is open, at once."""
        if self._open is not None:
            self._open.close()

    async def _connection(self) -> _Protocol:
        if self._open is None or self._open.closed:
            async with self._opening:
                if self._open is None or self._open.closed:
                    streams = await self._opener()
                    tls = streams[1].get_extra_info("ssl_object")
                    second = tls is not None and tls.selected_alpn_protocol() == "h2"
                    self._open = _Http2(streams) if second else _Http1(streams)
        return self._open


class _Http2:
    def __init__(self, streams: Streams) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self.closed = False
        self._reader, self._writer = streams
        self._http = H2Connection(H2Configuration(header_encoding=None))
        self._http.initiate_connection()
        self._replies: dict[int, Reply] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._writer.write(self._http.data_to_send())
        self._reading = asyncio.create_task(self._read())

    async def ask(self, question: Question, limit: int) -> Reply:
        from h2.exceptions import ProtocolError

        async with self._room:
            if self.closed:
                raise BrokenError("The connection is closed.")
            try:
                stream = self._http.get_next_available_stream_id()
                self._http.send_headers(stream, _head(question), end_stream=not question.content)
                if question.content:
                    self._http.send_data(stream, question.content, end_stream=True)
            except ProtocolError as error:  # no numbers, no room in the window: never at once
                self.close()
                raise BrokenError(str(error)) from error
            reply = Reply(limit, asyncio.get_running_loop().create_future())
            self._replies[stream] = reply
            self._writer.write(self._http.data_to_send())
            try:
                await reply.whole
            finally:
                if self._replies.pop(stream, None) is not None and not self.closed:
                    self._give_up(stream)
            return reply

    def close(self) -> None:
        self.closed = True
        self._reading.cancel()
        self._writer.transport.abort()

    def _give_up(self, stream: int) -> None:
        from h2.errors import ErrorCodes
        from h2.exceptions import ProtocolError

        with suppress(ProtocolError):
            self._http.reset_stream(stream, ErrorCodes.CANCEL)
            self._writer.write(self._http.data_to_send())

    async def _read(self) -> None:
        from h2.exceptions import ProtocolError

        reason = "The server closed the connection."
        try:
            while data := await self._reader.read(CHUNK):
                for event in self._http.receive_data(data):
                    self._take(event)
                if out := self._http.data_to_send():
                    self._writer.write(out)
        except (OSError, ProtocolError) as error:
            reason = str(error) or type(error).__name__
        finally:
            self.closed = True
            self._writer.transport.abort()
            for reply in self._replies.values():
                _fail(reply, BrokenError(reason))

    def _take(self, event: "h2.events.Event") -> None:
        from h2 import events

        stream = getattr(event, "stream_id", None)
        if isinstance(event, events.ConnectionTerminated):
            self.closed = True  # RFC 9113 §6.8: what is under way may still be answered
        if isinstance(event, events.DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if stream is None or (reply := self._replies.get(stream)) is None:
            return
        if isinstance(event, events.ResponseReceived):
            reply.head(event.headers, int(dict(event.headers)[b":status"]))
        elif isinstance(event, events.DataReceived):
            try:
                reply.add(event.data)
            except TooLargeError as error:
                _fail(reply, error)
        elif isinstance(event, events.StreamReset):
            del self._replies[stream]
            _fail(reply, BrokenError(f"The server broke it off (code {event.error_code})."))
        elif isinstance(event, events.StreamEnded):
            del self._replies[stream]
            if not reply.whole.done():
                reply.whole.set_result(None)


class _Http1:
    def __init__(self, streams: Streams) -> None:
        import h11

        self.closed = False
        self._reader, self._writer = streams
        self._http = h11.Connection(h11.CLIENT)
        self._turn = asyncio.Lock()

    async def ask(self, question: Question, limit: int) -> Reply:
        import h11

        async with self._turn:
            if self.closed or self._reader.at_eof():
                self.close()
                raise BrokenError("The connection is closed.")
            reply = Reply(limit, asyncio.get_running_loop().create_future())
            try:
                await self._exchange(question, reply)
            except (OSError, h11.RemoteProtocolError) as error:
                self.close()
                raise BrokenError(str(error) or type(error).__name__) from error
            except BaseException:
                self.close()
                raise
            if self._http.our_state is self._http.their_state is h11.DONE:
                self._http.start_next_cycle()
            else:
                self.close()
            return reply

    def close(self) -> None:
        self.closed = True
        self._writer.transport.abort()

    async def _exchange(self, question: Question, reply: Reply) -> None:
        import h11

        headers = [("host", question.authority), *question.headers]
        if question.content:
            headers.append(("content-length", str(len(question.content))))
        request = h11.Request(method=question.method, target=question.target, headers=headers)
        parts: list[h11.Event] = [request, h11.EndOfMessage()]
        if question.content:
            parts.insert(1, h11.Data(data=question.content))
        self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(CHUNK))
            elif isinstance(event, h11.Response):
                reply.head([*event.headers], event.status_code)
            elif isinstance(event, h11.Data):
                reply.add(bytes(event.data))
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("The server closed the connection.")


def _head(question: Question) -> list[tuple[str, str]]:
    pseudo = {
        ":method": question.method,
        ":authority": question.authority,
        ":scheme": "https",
        ":path": question.target,
    }
    length = [("content-length", str(len(question.content)))] if question.content else []
    return [*pseudo.items(), *question.headers, *length]


def _fail(reply: Reply, error: Exception) -> None:
    if not reply.whole.done():
        reply.whole.set_exception(error)
