"""One request and its answer, carried between two connections while they come.

Nothing is held but what one read brings: a side that does not read stops the other. The
answer may begin, and end, before the request has. Where the client goes away the origin
hears of it; half an answer is never passed off as a whole one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import h11

from pyodide_offline.network import hops
from pyodide_offline.network.hops import Target
from pyodide_offline.network.outbound import CHUNK, Connection
from pyodide_offline.network.pipe import pipe, write

# Bytes of a request's or an answer's head.
HEAD = 1 << 18
# Seconds that a body waits for the proxy to have read its head.
EXPECTING = 1.0
# Seconds that the rest of a 407 may take.
REFUSING = 5.0
# Nothing is lost by asking for these twice (RFC 9110 §9.2.1).
_SAFE = {b"GET", b"HEAD", b"OPTIONS", b"TRACE"}


class ClientGoneError(Exception):
    """Who asked has gone away, or does not speak HTTP."""


class LoginWantedError(Exception):
    """The proxy that a request was handed to answered 407, with these challenges.

    ``reusable``: its connection can have the next attempt.
    """

    def __init__(self, offers: list[str], *, reusable: bool) -> None:
        super().__init__("407")
        self.offers = offers
        self.reusable = reusable


class OriginBrokeError(Exception):
    """The origin's connection broke. ``answered``: after its answer had begun."""

    def __init__(self, why: str, *, answered: bool) -> None:
        super().__init__(why)
        self.answered = answered


@dataclass(frozen=True)
class Handed:
    """How a request is put to a proxy that is to read it: by the whole URL, with a login."""

    url: bytes
    authorization: str | None = None


@dataclass(frozen=True)
class Usable:
    """Which of the two connections can be used for another request."""

    client: bool = False
    origin: bool = False


class Asked:
    """A request of which the head has been read, and the connection that it came on."""

    def __init__(self, client: Connection, server: h11.Connection, request: h11.Request) -> None:
        self.client = client
        self.request = request
        self.target: Target = hops.read(request.method, request.target)
        self.early = b""
        """What was read behind the request."""
        self.begun = False
        """Whether an answer, or a part of one, was sent."""
        self.whole = False
        """Whether the request's end was read."""
        self.spent = False
        """Whether a part of its body was read, so that it cannot be sent again."""
        self._server = server

    @classmethod
    async def read(cls, client: Connection, data: bytes) -> "Asked | None":
        """Read a request's head, of which ``data`` is the begin; None at a clean end.

        Raises ClientGoneError for what is none.
        """
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = await _read(client)
            if (not more and data) or len(data) > HEAD:
                raise ClientGoneError
            if not more:
                return None
            data += more
        server = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)
        try:
            server.receive_data(hops.with_host(data[:end]) + data[end:])
            request = server.next_event()
            if not isinstance(request, h11.Request):
                raise ClientGoneError
            return cls(client, server, request)
        except (h11.RemoteProtocolError, ValueError) as error:
            raise ClientGoneError from error

    @property
    def rest(self) -> bytes:
        """All that came behind the request."""
        return bytes(self._server.trailing_data[0]) + self.early

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again: nothing changes by it, and it has no body."""
        names = {name.lower() for name, _ in self.request.headers.raw_items()}
        bodied = names & {b"transfer-encoding", b"content-length", b"upgrade"}
        return self.request.method in _SAFE and not bodied

    async def refuse(self, status: int) -> None:
        """Answer with a status and no body, as the last thing on this connection."""
        headers = [(b"Content-Length", b"0"), (b"Connection", b"close")]
        self.begun = True
        answer = self._server.send(h11.Response(status_code=status, headers=headers))
        await write(self.client, answer)

    async def accept(self) -> bytes:
        """Answer CONNECT with yes; return what the client has sent already."""
        self.begun = True
        with suppress(h11.RemoteProtocolError):
            self._server.next_event()  # the end of the request
        await write(self.client, self._server.send(h11.Response(status_code=200, headers=[])))
        return self.rest

    async def carry(self, origin: Connection, handed: Handed | None = None) -> Usable:
        """Send the request to its origin, or hand it to a proxy, and the answer back.

        Raises ClientGoneError, OriginBrokeError, for a proxy LoginWantedError.
        """
        return await _Carrying(self, self._server, origin, handed).run()


class _Carrying:
    def __init__(
        self, asked: Asked, server: h11.Connection, origin: Connection, handed: Handed | None
    ) -> None:
        self._handed = handed
        self._answered = asyncio.Event()
        self._asked = asked
        self._client = asked.client
        self._server = server
        self._origin = origin
        self._far = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
        self._switched = False

    async def run(self) -> Usable:
        up = asyncio.create_task(self._up())
        down = asyncio.create_task(self._down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if not down.done():
                up.result()  # raises where the client has gone
                await down
            down.result()
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        if self._switched:
            early = bytes(self._far.trailing_data[0])
            await pipe(self._client, self._origin, self._asked.rest, early)
            return Usable()
        return Usable(_done(self._server), _done(self._far))

    async def _up(self) -> None:
        request = self._asked.request
        headers = hops.onward(request.headers.raw_items())
        held = False
        if self._handed:
            headers += _login(self._handed)
            # A body that was sent into a 407 is lost (RFC 9110 §10.1.1).
            held = any(name.lower() in hops.FRAMING for name, _ in headers)
            headers += [(b"Expect", b"100-continue")] if held else []
        event: h11.Request | h11.Data | h11.EndOfMessage = h11.Request(
            method=request.method,
            target=self._handed.url if self._handed else self._asked.target.path,
            headers=headers,
        )
        takes = True
        while True:
            if takes:
                try:
                    await write(self._origin, self._far.send(event))
                except OSError:
                    # An origin that takes no more of it may have answered nevertheless.
                    takes = False
            if isinstance(event, h11.EndOfMessage):
                break
            if held and isinstance(event, h11.Request):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._answered.wait(), EXPECTING)
            event = await self._of_client()
        # Only by reading is it noticed that a client has gone.
        if not self._asked.early:
            self._asked.early = await _read(self._client)
            if not self._asked.early:
                raise ClientGoneError

    async def _of_client(self) -> h11.Data | h11.EndOfMessage:
        while True:
            if self._asked.whole:
                return h11.EndOfMessage()  # a second attempt, of a request without a body
            try:
                event = self._server.next_event()
                if event is h11.NEED_DATA:
                    self._server.receive_data(await _read(self._client))
                    continue
            except h11.RemoteProtocolError as error:
                raise ClientGoneError from error
            if isinstance(event, h11.Data | h11.EndOfMessage):
                self._asked.whole = isinstance(event, h11.EndOfMessage)
                self._asked.spent |= isinstance(event, h11.Data)
                return event
            raise ClientGoneError

    async def _down(self) -> None:
        data = self._origin.early
        while True:
            try:
                if data:
                    self._far.receive_data(data)
                event = self._far.next_event()
                data = b""
                if event is h11.NEED_DATA:
                    data = await self._origin.reader.read(CHUNK)
                    if not data:
                        self._far.receive_data(b"")
                    continue
            except (OSError, h11.RemoteProtocolError) as error:
                raise self._broke(str(error) or type(error).__name__) from error
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                raise self._broke("it closed the connection without an answer")
            if isinstance(event, h11.Response) and event.status_code == 407 and self._handed:
                raise await self._refused(event)
            self._answered.set()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code != 101:  # for the one who waits for it, and nobody does
                    continue
                self._switched = True
            await self._back(event)
            if self._switched or isinstance(event, h11.EndOfMessage):
                return

    async def _back(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response | h11.InformationalResponse):
            self._asked.begun = True
            event = type(event)(
                status_code=event.status_code,
                headers=hops.onward(event.headers.raw_items()),
                reason=event.reason,
            )
        try:
            await write(self._client, self._server.send(event))
        except OSError as error:
            raise ClientGoneError from error

    async def _refused(self, answer: h11.Response) -> LoginWantedError:
        """Read a 407 to its end, where that is near, so that its connection can be used."""
        offers = [
            bytes(value).decode("latin-1")
            for name, value in answer.headers
            if name == b"proxy-authenticate"
        ]
        length = 0
        with suppress(OSError, h11.RemoteProtocolError):  # TimeoutError is an OSError
            end = asyncio.get_running_loop().time() + REFUSING
            while length < HEAD and not _done(self._far):
                event = self._far.next_event()
                if isinstance(event, h11.Data):
                    length += len(event.data)
                elif event is h11.NEED_DATA:
                    async with asyncio.timeout_at(end):
                        data = await self._origin.reader.read(CHUNK)
                    self._far.receive_data(data)
                elif isinstance(event, h11.EndOfMessage):
                    break
        return LoginWantedError(offers, reusable=_done(self._far))

    def _broke(self, why: str) -> OriginBrokeError:
        return OriginBrokeError(why, answered=self._asked.begun)


def _login(handed: Handed) -> hops.Headers:
    if handed.authorization is None:
        return []
    return [(b"Proxy-Authorization", handed.authorization.encode())]


def _done(connection: h11.Connection) -> bool:
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _read(client: Connection) -> bytes:
    try:
        return await client.reader.read(CHUNK)
    except OSError as error:
        raise ClientGoneError from error
