"""CONNECT, fed whole and byte by byte: both must come to the same."""

import base64
from pathlib import Path

import pytest

from pyodide_offline.network import handshake as module
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.handshake import Established, Event, Handshake, Reconnect, Refused

_JOE = Credentials("joe", "hunter2", "HTTPS_PROXY")
_BASIC = base64.b64encode(b"joe:hunter2")
_OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
_WANTS = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n"
    b"Content-Length: 5\r\n\r\nlogin"
)
_PAGE = b"<!DOCTYPE html><html><head><title>\n Access &amp;\tdenied </title></head></html>"
pieces = pytest.mark.parametrize("size", [1, 7, 100_000])


def _new(credentials: Credentials | None = _JOE, host: str = "example.com", **options) -> Handshake:
    return Handshake(host, 443, credentials=lambda: credentials, **options)


def _feed(handshake: Handshake, data: bytes, size: int, *, end: bool = False) -> Event | None:
    """Feed in pieces; what is left after an Established belongs to its ``early`` bytes."""
    for at in range(0, len(data), size):
        for event in handshake.receive_data(data[at : at + size]):
            if isinstance(event, Established):
                return Established(event.early + data[at + size :], event.status)
            return event
    for event in handshake.receive_data(b"") if end else ():
        return event
    return None


def test_the_request() -> None:
    lines = _new(agent="test/1").bytes_to_send().split(b"\r\n")
    assert lines[0] == b"CONNECT example.com:443 HTTP/1.1"
    assert b"Host: example.com:443" in lines
    assert b"User-Agent: test/1" in lines
    assert b"authorization" not in b"".join(lines).lower()
    assert lines[-2:] == [b"", b""]
    assert _new(host="::1").bytes_to_send().startswith(b"CONNECT [::1]:443 ")


def test_what_is_sent_is_sent_once() -> None:
    handshake = _new()
    assert handshake.bytes_to_send()
    assert not handshake.bytes_to_send()


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "a\0", "bücher"])
def test_a_host_that_would_break_the_request_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a request"):
        _new(host=host)


@pieces
@pytest.mark.parametrize(
    "head",
    [
        _OK,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n" + _OK,
    ],
)
@pytest.mark.parametrize("early", [b"", b"SSH-2.0-x\r\n", b"\x16\x03\x01", b"HTTP/1.1 200"])
def test_after_2xx_every_byte_is_the_tunnels(head: bytes, early: bytes, size: int) -> None:
    event = _feed(_new(), head + early, size)
    assert isinstance(event, Established)
    assert event.early == early


@pieces
def test_a_login_goes_over_the_same_connection_after_the_body(size: int) -> None:
    handshake = _new()
    handshake.bytes_to_send()
    assert _feed(handshake, _WANTS[:-1], size) is None
    assert not handshake.bytes_to_send()
    assert _feed(handshake, _WANTS[-1:], size) is None
    assert b"Proxy-Authorization: Basic " + _BASIC + b"\r\n" in handshake.bytes_to_send()
    assert handshake.login.proving
    assert _feed(handshake, _OK + b"early", size) == Established(b"early")


@pieces
@pytest.mark.parametrize(
    "answer",
    [
        _WANTS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        _WANTS.replace(b"\r\n\r\n", b"\r\nProxy-Connection: Close\r\n\r\n"),
        _WANTS.replace(b"HTTP/1.1", b"HTTP/1.0"),
        _WANTS.replace(b"Content-Length: 5\r\n", b""),
        _WANTS[:-2],  # and breaks off
        _WANTS.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")[:-5] + b"zz\r\n",
    ],
)
def test_a_login_goes_over_a_fresh_connection_where_the_proxy_closes(
    answer: bytes, size: int
) -> None:
    handshake = _new()
    handshake.bytes_to_send()
    assert _feed(handshake, answer, size, end=True) == Reconnect()
    assert _BASIC in handshake.bytes_to_send()
    assert _feed(handshake, _OK, size) == Established()


def test_a_407_with_a_body_without_end_is_left_for_a_fresh_connection() -> None:
    handshake = _new()
    handshake.bytes_to_send()
    endless = _WANTS.replace(b"Content-Length: 5", b"Content-Length: 999999999")
    assert _feed(handshake, endless + b"x" * (module.MAX_BODY + 1), 65536) == Reconnect()


@pieces
def test_a_refused_password_is_not_sent_again(size: int) -> None:
    handshake = _new()
    handshake.bytes_to_send()
    _feed(handshake, _WANTS, size)
    handshake.bytes_to_send()
    event = _feed(handshake, _WANTS, size)
    assert isinstance(event, Refused)
    assert (event.login, event.tried, event.source) == ("refused", "basic", "HTTPS_PROXY")
    assert not handshake.bytes_to_send()
    assert handshake.receive_data(_OK) == []


def test_a_401_after_a_proof_is_a_refused_password_too_and_else_is_not() -> None:
    answer = b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    handshake = _new(scheme="basic")
    assert _BASIC in handshake.bytes_to_send()
    event = _feed(handshake, answer, 100)
    assert isinstance(event, Refused)
    assert event.login == "refused"
    event = _feed(_new(), answer, 100)
    assert isinstance(event, Refused)
    assert (event.status, event.login) == (401, "")


@pytest.mark.parametrize(
    ("offer", "credentials", "trouble", "offered"),
    [
        (b"Basic, Digest nonce=n", None, "missing", ("basic", "digest")),
        (b"Bearer, Bearer", _JOE, "unknown", ("bearer",)),
        (b"", _JOE, "unknown", ()),
    ],
)
def test_a_login_that_cannot_be_given(offer: bytes, credentials, trouble, offered) -> None:
    answer = _WANTS.replace(b"Basic realm=x", offer)
    event = _feed(_new(credentials), answer, 100)
    assert isinstance(event, Refused)
    assert (event.login, event.offered, event.status) == (trouble, offered, 407)


@pieces
@pytest.mark.parametrize("status", [302, 400, 403, 404, 405, 429, 502, 503, 504])
def test_a_refusal_keeps_its_reason_and_the_title_of_its_page(status: int, size: int) -> None:
    head = f"HTTP/1.1 {status} No way\r\nContent-Length: {len(_PAGE)}\r\n\r\n".encode()
    event = _feed(_new(), head + _PAGE, size)
    assert event == Refused(status, "No way", "Access & denied")


@pieces
def test_a_refusal_is_known_before_its_body_ends(size: int) -> None:
    handshake = _new()
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n"
    assert _feed(handshake, head + _PAGE, size) is None
    assert handshake.pending
    assert handshake.pending.status == 403
    assert _feed(handshake, b"", size, end=True) == Refused(403, "Forbidden", "Access & denied")


@pieces
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_web_page_behind_a_200_is_a_block_page(head: bytes, size: int) -> None:
    if b"%d" in head:
        head %= len(_PAGE)
    elif b"chunked" not in head and size < len(head) + len(_PAGE):
        return  # unannounced and later than the head: it cannot be told from the target's bytes
    event = _feed(_new(), head + _PAGE, size, end=True)
    assert isinstance(event, Refused)
    assert (event.status, event.title) == (200, "Access & denied")
    assert "web page" in event.problem


@pieces
def test_an_announced_page_that_is_none_is_the_tunnel(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n"
    event = _feed(_new(), head + b"SSH-2.0-x and more", size)
    assert event == Established(b"SSH-2.0-x and more")


@pieces
@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\0" * 100,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
    ],
)
def test_garbage_is_refused(garbage: bytes, size: int) -> None:
    event = _feed(_new(), garbage, size, end=True)
    assert isinstance(event, Refused)
    assert event.status == 0
    assert "not HTTP" in event.problem


@pytest.mark.parametrize("size", [1000, 65536])
def test_a_head_without_end_is_refused(size: int) -> None:
    event = _feed(_new(), b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, size)
    assert isinstance(event, Refused)
    assert "longer than" in event.problem


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 20"])
def test_an_early_end_is_told(data: bytes) -> None:
    event = _feed(_new(), data, 100, end=True)
    assert isinstance(event, Refused)
    assert event.status == 0
    assert event.problem


def test_a_proxy_that_repeats_what_it_was_told_in_confidence_is_not_quoted() -> None:
    handshake = _new(scheme="basic")
    page = b"<title>no joe:hunter2 Basic " + _BASIC + b"</title>"
    head = b"HTTP/1.1 403 hunter2 \x1b[31m\r\nContent-Length: %d\r\n\r\n" % len(page)
    event = _feed(handshake, head.replace(b"\x1b", b"") + page, 100)
    assert "hunter2" not in repr(event)
    assert _BASIC.decode() not in repr(event)


@pieces
def test_ntlm_stays_on_its_connection(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spnego

    users = tmp_path / "users"
    users.write_text("CORP:joe:hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    server = spnego.server(protocol="ntlm")
    handshake = _new(Credentials("CORP\\joe", "hunter2"))

    def challenge() -> bytes:
        request = handshake.bytes_to_send()
        token = request.partition(b"Authorization: NTLM ")[2].partition(b"\r\n")[0]
        return base64.b64encode(server.step(base64.b64decode(token)) or b"")

    handshake.bytes_to_send()
    closes = _WANTS.replace(b"Basic realm=x", b"NTLM").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert _feed(handshake, closes, size) == Reconnect()  # before the first token: no harm
    second = _WANTS.replace(b"Basic realm=x", b"NTLM " + challenge())
    assert _feed(handshake, second, size) is None
    challenge()
    assert server.complete
    assert _feed(handshake, _OK, size) == Established()


def test_ntlm_in_the_middle_cannot_change_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spnego

    users = tmp_path / "users"
    users.write_text("CORP:joe:hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    handshake = _new(Credentials("joe", "hunter2"), scheme="ntlm")
    client = handshake.bytes_to_send().partition(b"Authorization: NTLM ")[2].partition(b"\r\n")[0]
    server = spnego.server(protocol="ntlm")
    token = base64.b64encode(server.step(base64.b64decode(client)) or b"")
    answer = _WANTS.replace(b"Basic realm=x", b"NTLM " + token).replace(b"1.1", b"1.0")
    event = _feed(handshake, answer, 1000)
    assert isinstance(event, Refused)
    assert "middle of the login" in event.problem
