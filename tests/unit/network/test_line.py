"""One kept connection, over HTTP/2 and HTTP/1.1, against servers made of h2 and of lines."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import pytest

from pyodide_offline.network import line
from pyodide_offline.network.line import BrokenError, Line, Question, Reply, TooLargeError
from pyodide_offline.network.sockets import Streams
from tests.peers.authority import Authority

Http = h2.connection.H2Connection
# What a server does with a question: its connection, the stream, the content.
Serve = Callable[[Http, int, bytes], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("line") / "ca", "line.test")


def _post(content: bytes = b"ask", path: str = "/q") -> Question:
    return Question("POST", "line.test", path, [("accept", "a/b")], content)


def _answer(http: Http, stream: int, content: bytes) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "a/b")])
    http.send_data(stream, content, end_stream=True)


class Second:
    """A server of HTTP/2; ``connections`` counts, ``heads`` and ``resets`` keep what came."""

    def __init__(self, serve: Serve, *, closes_after: int = 0) -> None:
        self.serve = serve
        self.closes_after = closes_after
        self.connections = 0
        self.heads: list[dict[str, str]] = []
        self.resets: list[int] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        http = Http(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        contents: dict[int, bytes] = {}
        served = 0
        with suppress(OSError, asyncio.CancelledError):
            writer.write(http.data_to_send())
            while data := await reader.read(65536):
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.heads.append(dict(event.headers))  # type: ignore[arg-type]
                        contents[event.stream_id] = b""
                    elif isinstance(event, h2.events.DataReceived):
                        contents[event.stream_id] += event.data
                        http.acknowledge_received_data(
                            event.flow_controlled_length, event.stream_id
                        )
                    elif isinstance(event, h2.events.StreamReset):
                        self.resets.append(event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        self.serve(http, event.stream_id, contents[event.stream_id])
                        served += 1
                writer.write(http.data_to_send())
                if served == self.closes_after > 0:
                    break
        writer.transport.abort()


Client = Callable[[Line], Awaitable[None]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _with(authority: Authority, handler: Handler, alpn: str, client: Client) -> None:
    """Run a client against a server on loopback."""

    async def all_of_it() -> None:
        context = authority.server()
        context.set_alpn_protocols([alpn])
        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        trust = ssl.create_default_context(cafile=authority.ca)
        trust.set_alpn_protocols(list(line.ALPN))

        async def opened() -> Streams:
            return await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname="line.test"
            )

        mine = Line(opened)
        try:
            async with asyncio.timeout(20):
                await client(mine)
        finally:
            mine.close()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(all_of_it())


def _seen(reply: Reply) -> tuple[int, str, bytes]:
    return reply.status, reply.type, bytes(reply.content)


def test_a_question_and_its_answer_over_http2(authority: Authority) -> None:
    server = Second(_answer)

    async def client(mine: Line) -> None:
        assert _seen(await mine.ask(_post(), 10)) == (200, "a/b", b"ask")
        get = Question("GET", "line.test", "/q?dns=x", [])
        assert _seen(await mine.ask(get, 10)) == (200, "a/b", b"")

    _with(authority, server, "h2", client)
    assert server.connections == 1
    assert server.heads[0] == {
        ":method": "POST",
        ":authority": "line.test",
        ":scheme": "https",
        ":path": "/q",
        "accept": "a/b",
        "content-length": "3",
    }
    assert server.heads[1][":path"] == "/q?dns=x"


def test_many_at_once_are_answered_in_any_order_over_one_connection(authority: Authority) -> None:
    waiting: list[tuple[int, bytes]] = []

    def later(http: Http, stream: int, content: bytes) -> None:
        waiting.append((stream, content))
        if len(waiting) == line.AT_ONCE:
            for one, said in reversed(waiting):
                _answer(http, one, said)
            waiting.clear()

    server = Second(later)

    async def client(mine: Line) -> None:
        asked = [mine.ask(_post(b"%d" % number), 10) for number in range(line.AT_ONCE * 2)]
        replies = await asyncio.gather(*asked)
        assert [int(bytes(one.content)) for one in replies] == list(range(line.AT_ONCE * 2))

    _with(authority, server, "h2", client)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_is_opened_anew(authority: Authority) -> None:
    server = Second(_answer, closes_after=1)

    async def client(mine: Line) -> None:
        for _ in range(3):
            assert _seen(await mine.ask(_post(), 10))[2] == b"ask"

    _with(authority, server, "h2", client)
    assert server.connections == 3


def test_a_server_that_never_answers_is_asked_twice_at_most(authority: Authority) -> None:
    def close(http: Http, _stream: int, _content: bytes) -> None:
        http.close_connection()

    server = Second(close, closes_after=1)

    async def client(mine: Line) -> None:
        with pytest.raises(BrokenError):
            await mine.ask(_post(), 10)

    _with(authority, server, "h2", client)
    assert server.connections == 1  # a fresh connection is no stale one


def test_a_reset_stream_is_an_error_and_the_connection_goes_on(authority: Authority) -> None:
    def serve(http: Http, stream: int, content: bytes) -> None:
        if content == b"bad":
            http.reset_stream(stream, 2)
        else:
            _answer(http, stream, content)

    server = Second(serve)

    async def client(mine: Line) -> None:
        with pytest.raises(BrokenError, match="broke it off"):
            await mine.ask(_post(b"bad"), 10)
        assert _seen(await mine.ask(_post(), 10))[2] == b"ask"

    _with(authority, server, "h2", client)
    assert server.connections == 1


def test_an_answer_that_is_too_large_is_broken_off(authority: Authority) -> None:
    def serve(http: Http, stream: int, content: bytes) -> None:
        _answer(http, stream, b"x" * 1000 if content == b"much" else content)

    server = Second(serve)

    async def client(mine: Line) -> None:
        with pytest.raises(TooLargeError):
            await mine.ask(_post(b"much"), 999)
        assert _seen(await mine.ask(_post(), 999))[2] == b"ask"

    _with(authority, server, "h2", client)


def test_a_question_that_is_given_up_is_reset(authority: Authority) -> None:
    def serve(http: Http, stream: int, content: bytes) -> None:
        if content != b"wait":
            _answer(http, stream, content)

    server = Second(serve)

    async def client(mine: Line) -> None:
        waiting = asyncio.create_task(mine.ask(_post(b"wait"), 10))
        await mine.ask(_post(b"other"), 10)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await mine.ask(_post(b"other"), 10)
        assert len(server.resets) == 1

    _with(authority, server, "h2", client)


def test_more_questions_than_the_window_holds(authority: Authority) -> None:
    server = Second(_answer)

    async def client(mine: Line) -> None:
        for _ in range(200):  # 100 kB; the window that a connection begins with has 64
            assert len((await mine.ask(_post(b"x" * 512), 600)).content) == 512

    _with(authority, server, "h2", client)
    assert server.connections == 1


def test_what_is_no_http2_is_an_error(authority: Authority) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        await reader.read(10)
        writer.transport.abort()

    async def client(mine: Line) -> None:
        with pytest.raises(BrokenError):
            await mine.ask(_post(), 10)

    _with(authority, handler, "h2", client)


def _first(*answers: bytes) -> tuple[Handler, list[bytes]]:
    """Answer a connection's requests in this order, then close it."""
    heard: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            for answer in answers:
                heard.append(await reader.readuntil(b"ask"))
                writer.write(answer)
            await writer.drain()
            writer.close()

    return handler, heard


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nyes"


def test_questions_one_after_the_other_over_http1(authority: Authority) -> None:
    handler, heard = _first(_OK, _OK)

    async def client(mine: Line) -> None:
        replies = await asyncio.gather(*(mine.ask(_post(), 10) for _ in range(2)))
        assert [_seen(one) for one in replies] == [(200, "a/b", b"yes")] * 2

    _with(authority, handler, "http/1.1", client)
    assert heard[0].startswith(b"POST /q HTTP/1.1\r\n")
    assert b"\r\nhost: line.test\r\n" in heard[0].lower()


@pytest.mark.parametrize("answer", [_OK, _OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")])
def test_http1_is_opened_anew_where_the_server_closes(authority: Authority, answer: bytes) -> None:
    handler, heard = _first(answer)

    async def client(mine: Line) -> None:
        for _ in range(3):
            assert _seen(await mine.ask(_post(), 10))[2] == b"yes"

    _with(authority, handler, "http/1.1", client)
    assert len(heard) == 3


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", _OK[:-1]])
def test_what_is_no_whole_http1_answer_is_an_error(authority: Authority, answer: bytes) -> None:
    handler, heard = _first(answer)

    async def client(mine: Line) -> None:
        with pytest.raises(BrokenError):
            await mine.ask(_post(), 10)

    _with(authority, handler, "http/1.1", client)
    assert len(heard) == 1


def test_an_http1_answer_that_is_too_large_is_not_read_on(authority: Authority) -> None:
    handler, _ = _first(_OK)

    async def client(mine: Line) -> None:
        with pytest.raises(TooLargeError):
            await mine.ask(_post(), 2)

    _with(authority, handler, "http/1.1", client)


def test_what_the_opener_raises_passes_through() -> None:
    async def opener() -> Streams:
        raise ConnectionRefusedError

    async def ask() -> None:
        with pytest.raises(ConnectionRefusedError):
            await Line(opener).ask(_post(), 10)

    asyncio.run(ask())
