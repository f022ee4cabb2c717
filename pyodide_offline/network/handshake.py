"""CONNECT (RFC 9110 §9.3.6) without a socket: bytes in, events out.

    handshake = Handshake(host, port, credentials=...)
    send(handshake.bytes_to_send())
    for event in handshake.receive_data(received): ...      # b"" is the end of the stream

Rules, and where they come from:

- After 2xx the connection is the tunnel, and bytes that came behind the head belong to it;
  Content-Length and Transfer-Encoding of a 2xx do not count (RFC 9110 §9.3.6). One thing is
  against the letter: a web page behind a 2xx is a block page, and not the target.
- 1xx answers are skipped (RFC 9110 §15.2).
- After 407 the body is read and the next request goes over the same connection, because
  NTLM logs a connection in, not a request (RFC 4559 §6). Where the proxy closes it, the
  next request needs a fresh one (``Reconnect``).
- A password that was refused is not sent again: that is how accounts get locked.
- Whatever a proxy sends, only a bounded part of it is kept.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import h11

from pyodide_offline import redact
from pyodide_offline.network import challenges
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.proxies import authority
from pyodide_offline.network.rounds import Rounds, Trouble

MAX_HEAD = 65536
MAX_BODY = 262144  # of a 407 that is read to keep the connection
MAX_PAGE = 16384  # of a refusal that is kept, to find its title
_TITLE = re.compile(rb"<title[^>]*>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Established:
    """The tunnel stands. ``early`` are bytes of the tunnel that came with the head."""

    early: bytes = b""
    status: int = 200


@dataclass(frozen=True)
class Reconnect:
    """Go on with this handshake over a fresh connection: the proxy closes this one."""


@dataclass(frozen=True)
class Refused:
    """The end. ``status`` is 0 where the proxy sent no answer of HTTP.

    ``title`` is that of the page that came with it. For a 407: ``offered`` are its login
    schemes, ``login`` says what is wrong with ours (none is known, no scheme that we can do,
    sent and refused), ``tried`` by which scheme, ``source`` where user and password are from.
    """

    status: int
    reason: str = ""
    title: str = ""
    problem: str = ""
    login: Trouble = ""
    offered: tuple[str, ...] = ()
    tried: str = ""
    source: str = ""


Event = Established | Reconnect | Refused


class Handshake:
    """One CONNECT, with all its rounds."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        credentials: Callable[[], Credentials | None] = lambda: None,
        proxy_host: str = "",
        agent: str = "pyodide-offline",
        scheme: str = "",
    ) -> None:
        """Prepare the first request. ``credentials`` is called once, when a 407 comes.

        ``scheme`` is the login that this proxy took the last time: it is begun at once.

        Raises ValueError for a host that cannot stand in a request.
        """
        self._target = authority(host, port)
        self._agent = agent
        self._out = b""
        self._over = False
        self._heard = False
        self._page: bytes | None = None
        self.login = Rounds(credentials, target=self._target, proxy_host=proxy_host)
        if scheme:
            self.login.expect(scheme)
        self._begin()

    def bytes_to_send(self) -> bytes:
        """Return what is to be sent now, once."""
        out, self._out = self._out, b""
        return out

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what came (``b""``: the proxy closed), return what that means, if anything."""
        if self._over:
            return []
        if self._page is not None:
            return self._more_page(data)
        self._heard = self._heard or bool(data)
        self._ended = not data
        try:
            self._http.receive_data(data)
            return self._advance()
        except h11.RemoteProtocolError as error:
            if self.pending:  # a refusal whose body broke off is still that refusal
                return self._after_answer(closing=True)
            return self._end(Refused(0, problem=_problem(error, nothing=not self._heard)))

    def _begin(self) -> None:
        """Make a connection's state, and the request."""
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._heard = self._ended = False
        self._request()

    def _request(self) -> None:
        headers = [(b"Host", self._target.encode()), (b"User-Agent", self._agent.encode())]
        if (value := self.login.authorization) is not None:
            latin = all(ord(letter) < 256 for letter in value)
            headers.append((b"Proxy-Authorization", value.encode("latin-1" if latin else "utf-8")))
        try:
            request = h11.Request(method="CONNECT", target=self._target, headers=headers)
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise ValueError(f"{self._target!r} cannot stand in a request") from error
        self._out = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        self.pending: Refused | None = None  # what a refusal says if nothing more of it comes
        self._body = bytearray()
        self._length = 0
        self._closing = False
        self._offers: list[str] = []

    def _advance(self) -> list[Event]:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return []
            if event is h11.PAUSED:  # a switch of protocols that was not asked for
                return self._end(Refused(0, problem=_GARBAGE))
            if isinstance(event, h11.Response):
                if 200 <= event.status_code < 300:
                    return self._accepted(event)
                self._answer(event)
            elif isinstance(event, h11.Data):
                self._length += len(event.data)
                self._body += event.data[: MAX_PAGE - len(self._body)]
                if self._length > MAX_BODY:
                    return self._after_answer(closing=True)
            elif isinstance(event, h11.EndOfMessage):
                closes = self._http.their_state is not h11.DONE
                return self._after_answer(closing=closes or self._closing or self._ended)
            elif isinstance(event, h11.ConnectionClosed):
                return self._end(Refused(0, problem=_NOTHING))

    def _answer(self, response: h11.Response) -> None:
        """Take in the head of an answer that is not 2xx."""
        values = [(bytes(name), bytes(value).decode("latin-1")) for name, value in response.headers]
        self._offers = [value for name, value in values if name == b"proxy-authenticate"]
        # Not in any RFC, but what proxies of HTTP/1.0's time send to say it.
        self._closing = any(n == b"proxy-connection" and "close" in v.lower() for n, v in values)
        self.pending = Refused(response.status_code, self._shown(bytes(response.reason)))

    def _after_answer(self, *, closing: bool) -> list[Event]:
        """Decide what follows an answer that is not 2xx, now that its body is read."""
        refused = self.pending or Refused(0)
        if refused.status == 401 and self.login.proving:  # tinyproxy refuses a password so
            return self._end(self._with_login(refused, "refused"))
        if refused.status != 407:
            return self._end(replace(refused, title=self._title()))
        offered = challenges.parse(self._offers)
        if (given_up := self.login.answer(offered, closing=closing)) is not None:
            schemes = tuple(dict.fromkeys(one.scheme for one in offered))
            refused = replace(refused, offered=schemes, problem=given_up.problem)
            return self._end(self._with_login(refused, given_up.trouble))
        if closing:
            self._begin()
            return [Reconnect()]
        self._http.start_next_cycle()
        self._request()
        return []

    def _with_login(self, refused: Refused, trouble: Trouble) -> Refused:
        return replace(
            refused,
            title=self._title(),
            login=trouble,
            tried=self.login.scheme,
            source=self.login.source,
        )

    def _accepted(self, response: h11.Response) -> list[Event]:
        early, _ = self._http.trailing_data
        headers = {bytes(name): bytes(value) for name, value in response.headers}
        announced = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        self.pending = Refused(
            response.status_code,
            self._shown(bytes(response.reason)),
            problem="It answers with a web page in place of the tunnel.",
        )
        if announced and headers.get(b"content-type", b"").lower().startswith(b"text/html"):
            self._page = b""
            return self._more_page(early) if early else []
        if _is_page(early):
            return self._paged(early)
        return self._end(Established(early, response.status_code))

    def _more_page(self, data: bytes) -> list[Event]:
        """Look at what follows a 2xx that announces a web page."""
        page = self._page = (self._page or b"") + data
        if not _is_page(page):
            if data and len(page.lstrip()) < len(_PAGES[0]):
                return []
            status = self.pending.status if self.pending else 200
            return self._end(Established(page, status))
        if data and len(page) < MAX_PAGE and b"</title" not in page.lower():
            return []
        return self._paged(page)

    def _paged(self, page: bytes) -> list[Event]:
        self._body = bytearray(page[:MAX_PAGE])
        return self._end(replace(self.pending or Refused(200), title=self._title()))

    def _title(self) -> str:
        match = _TITLE.search(bytes(self._body))
        return self._shown(match[1]) if match else ""

    def _shown(self, data: bytes) -> str:
        """Return a stranger's text as one short line, without what we told it in confidence."""
        text = data.decode("utf-8", errors="replace")
        ours = self.login.authorization or ""
        password = self.login.credentials.password if self.login.credentials else ""
        for secret in (ours, ours.partition(" ")[2], password):
            if secret:
                text = text.replace(secret, redact.HIDDEN)
        return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", html.unescape(text)).strip()[:200]

    def _end(self, event: Established | Refused) -> list[Event]:
        self._over = True
        if isinstance(event, Refused):
            self.pending = event
        return [event]


_GARBAGE = "What it answers is not HTTP."
_NOTHING = "It closes the connection without an answer."
_PAGES = (b"<!doctype", b"<html", b"<head")


def _is_page(data: bytes) -> bool:
    return data.lstrip()[:9].lower().startswith(_PAGES)


def _problem(error: h11.RemoteProtocolError, *, nothing: bool) -> str:
    if nothing:
        return _NOTHING
    if error.error_status_hint == 431:
        return f"The head of its answer is longer than {MAX_HEAD} bytes."
    return _GARBAGE
