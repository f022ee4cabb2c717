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

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import h11

from pyodide_offline.network import challenges, login
from pyodide_offline.network.digest_login import strongest
from pyodide_offline.network.proxies import authority

MAX_HEAD = 65536
MAX_BODY = 262144  # of a 407 that is read to keep the connection
MAX_PAGE = 16384  # of a refusal that is kept, to find its title
MAX_ROUNDS = 8  # Kerberos with mutual steps needs three
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
    login: Literal["", "missing", "unknown", "refused"] = ""
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
        credentials: Callable[[], login.Credentials | None] = lambda: None,
        proxy_host: str = "",
        agent: str = "pyodide-offline",
    ) -> None:
        """Prepare the first request. ``credentials`` is called once, when a 407 comes.

        Raises ValueError for a host that cannot stand in a request.
        """
        self._target = authority(host, port)
        self._credentials: login.Credentials | None = None
        self._find_credentials = credentials
        self._proxy_host = proxy_host
        self._agent = agent
        self._stepper: login.Stepper | None = None
        self._authorization: str | None = None
        self._failed: set[str] = set()
        self._rounds = 0
        self._out = b""
        self._heard = False
        self._page: bytes | None = None
        self._over = False
        # ``pending`` is what a refusal says if nothing more of it comes.
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
        try:
            self._http.receive_data(data)
            return self._advance()
        except h11.RemoteProtocolError as error:
            if self.pending:  # a refusal whose body broke off is still that refusal
                return self._after_answer(closing=True)
            return self._end(Refused(0, problem=_problem(error, nothing=not self._heard)))
        finally:
            self._heard = self._heard or bool(data)

    @property
    def proving(self) -> bool:
        """Say whether the request that is being made shows that the password is known."""
        return self._stepper is not None and self._stepper.proved

    @property
    def credentials(self) -> login.Credentials | None:
        """What was found when a 407 came."""
        return self._credentials

    @property
    def scheme(self) -> str:
        """The login scheme in use, or an empty string."""
        return self._stepper.scheme if self._stepper else ""

    def _begin(self) -> None:
        """Make a connection's state, and the request."""
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._heard = False
        self._request()

    def _request(self) -> None:
        headers = [(b"Host", self._target.encode()), (b"User-Agent", self._agent.encode())]
        if self._authorization is not None:
            value = self._authorization
            latin = all(ord(letter) < 256 for letter in value)
            headers.append((b"Proxy-Authorization", value.encode("latin-1" if latin else "utf-8")))
        try:
            request = h11.Request(method="CONNECT", target=self._target, headers=headers)
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise ValueError(f"{self._target!r} cannot stand in a request") from error
        self._out = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        self.pending: Refused | None = None
        self._body = bytearray()
        self._length = 0
        self._closing = False
        self._offers: list[str] = []

    def _advance(self) -> list[Event]:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return []
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
                return self._after_answer(closing=closes or self._closing)
            elif isinstance(event, h11.ConnectionClosed):
                return self._end(Refused(0, problem=_NOTHING))

    def _answer(self, response: h11.Response) -> None:
        """Take in the head of an answer that is not 2xx."""
        values = [(bytes(name), bytes(value).decode("latin-1")) for name, value in response.headers]
        self._offers = [value for name, value in values if name == b"proxy-authenticate"]
        # Not in any RFC, but what proxies of HTTP/1.0's time send to say it.
        self._closing = any(n == b"proxy-connection" and "close" in v.lower() for n, v in values)
        self.pending = Refused(response.status_code, bytes(response.reason).decode("latin-1"))

    def _after_answer(self, *, closing: bool) -> list[Event]:
        """Decide what follows an answer that is not 2xx, now that its body is read."""
        refused = self.pending or Refused(0)
        if refused.status != 407:
            return self._end(replace(refused, title=self._title()))
        offered = challenges.parse(self._offers)
        if (problem := self._log_in(offered, closing=closing)) is not None:
            schemes = tuple(dict.fromkeys(one.scheme for one in offered))
            return self._end(replace(problem, offered=schemes, title=self._title()))
        if closing:
            self._begin()
            return [Reconnect()]
        self._http.start_next_cycle()
        self._request()
        return []

    def _log_in(self, offered: Sequence[challenges.Challenge], *, closing: bool) -> Refused | None:
        """Set the next Proxy-Authorization, or say why there is none."""
        refused = self.pending or Refused(407)
        if self._rounds == 0:
            self._credentials = self._find_credentials()
        self._rounds += 1
        source = self._credentials.source if self._credentials else ""
        while self._rounds <= MAX_ROUNDS:
            if self._stepper is None:
                self._stepper = login.choose(
                    offered,
                    self._credentials,
                    target=self._target,
                    proxy_host=self._proxy_host,
                    without=self._failed,
                )
            stepper = self._stepper
            if stepper is None:
                known = self._credentials is not None and bool(self._credentials.user)
                able = any(one.scheme in login.SCHEMES for one in offered)
                kind: Literal["missing", "unknown"] = "missing" if able and not known else "unknown"
                return replace(refused, login=kind, source=source)
            challenge = _for(stepper.scheme, offered)
            begun = bool(challenge.token)
            try:
                value = stepper.step(challenge)
            except login.CannotLogInError:
                value = None
            if value is not None and begun and closing and stepper.same_connection:
                problem = "It closes the connection in the middle of the login."
                return replace(refused, tried=stepper.scheme, problem=problem)
            if value is not None:
                self._authorization = value
                return None
            if stepper.proved:
                return replace(refused, login="refused", tried=stepper.scheme, source=source)
            self._failed.add(stepper.scheme)
            self._stepper = None
        return replace(refused, problem=f"It asks for a login more than {MAX_ROUNDS} times.")

    def _accepted(self, response: h11.Response) -> list[Event]:
        early, _ = self._http.trailing_data
        headers = {bytes(name): bytes(value) for name, value in response.headers}
        announced = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        self.pending = Refused(
            response.status_code,
            bytes(response.reason).decode("latin-1"),
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
        return _shown(match[1].decode("utf-8", errors="replace")) if match else ""

    def _end(self, event: Established | Refused) -> list[Event]:
        self._over = True
        if isinstance(event, Refused):
            self.pending = event
        return [event]


_NOTHING = "It closes the connection without an answer."
_PAGES = (b"<!doctype", b"<html", b"<head")


def _for(scheme: str, offered: Sequence[challenges.Challenge]) -> challenges.Challenge:
    """Return the challenge of this scheme that is to be answered."""
    mine = [one for one in offered if one.scheme == scheme]
    if scheme == "digest":
        mine = strongest(mine)
    return mine[0] if mine else challenges.Challenge(scheme)


def _is_page(data: bytes) -> bool:
    return data.lstrip()[:9].lower().startswith(_PAGES)


def _problem(error: h11.RemoteProtocolError, *, nothing: bool) -> str:
    if nothing:
        return _NOTHING
    if error.error_status_hint == 431:
        return f"The head of its answer is longer than {MAX_HEAD} bytes."
    return "What it answers is not HTTP."


def _shown(text: str) -> str:
    """Return a stranger's text as one short line without control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text).strip()[:200]
