"""Who gets through to the mirror, and how much of it: ASGI around all that it serves.

In this order: method and form of the request, the Host it names, how busy all are, the
token. Nothing that a client sent for us alone (its token, its cookies) goes any further.
"""

import asyncio
import ipaddress
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.mirror import limits as measures
from pyodide_offline.features.mirror import replies, tokens
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.limits import Limits, Meter
from pyodide_offline.features.mirror.replies import App, Receive, Reply, Scope, Send
from pyodide_offline.features.mirror.tokens import Watched

_METHODS = ("GET", "HEAD")
_OPEN = frozenset({"/healthz", "/readyz"})
_ADMIN = frozenset({"/", "/metrics"})
_LOCAL = frozenset({"localhost"})
_BUNDLE = ".capnp.bin"
_PARTS = "/python-package-bucket/"  # what a workerd without digests fetches besides
_OURS = {b"authorization", b"cookie", b"proxy-authorization"}
_LOGIN = {"www-authenticate": 'Basic realm="pyodide-offline mirror", charset="UTF-8"'}


@dataclass(frozen=True)
class Rules:
    """How a mirror is guarded.

    ``tokens`` None lets everybody read; ``names`` are host names that it answers to besides
    addresses and localhost; ``open_bundles`` gives workerd's bundles to all, since workerd
    sends no token; ``behind_proxy`` takes the client's address from X-Forwarded-For.
    """

    limits: Limits = field(default_factory=Limits)
    tokens: Watched | None = None
    names: frozenset[str] = frozenset()
    open_bundles: bool = False
    behind_proxy: bool = False


class Guard:
    """The outermost app of a front."""

    def __init__(self, app: App, rules: Rules, events: Events) -> None:
        self._app = app
        self._rules = rules
        self._events = events
        self._meter = Meter(rules.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        began = time.monotonic()
        client = measures.client(self._address(scope))
        exchange = _Exchange(receive, send, self._rules.limits)
        self._events.opened()
        try:
            await self._pass(scope, exchange, client, began)
        except asyncio.CancelledError:
            exchange.status = exchange.status if exchange.ended else 0
            raise
        except StalledError:
            exchange.status = 0
            self._events.refused("slow", client)
            raise
        finally:
            self._events.answered(
                scope["method"],
                scope["path"],
                exchange.status,
                time.monotonic() - began,
                client,
            )

    async def _pass(self, scope: Scope, exchange: "_Exchange", client: str, now: float) -> None:
        reply = self._malformed(scope)
        if reply is None and (refused := self._meter.enter(client, now)):
            reply = replies.refusal(
                429 if refused.reason is not measures.Reason.FULL else 503,
                refused.reason.value,
                "Too many requests at once; ask again later.",
                headers={"retry-after": str(refused.wait_s)},
            )
        elif reply is None:
            try:
                reply = self._stranger(scope)
                if reply is None:
                    await self._serve(scope, exchange)
                    return
            finally:
                self._meter.leave(client)
        self._events.refused(reply.code, client)
        await reply.send(scope, exchange.send)

    async def _serve(self, scope: Scope, exchange: "_Exchange") -> None:
        """Let the app answer; whatever it raises becomes one whole answer, or a broken one."""
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OURS]
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except PyodideOfflineError as error:
            reply = replies.of_error(error)
            # That an upstream has no such thing is an answer, and 404.
            if reply.status >= 500 or exchange.status:
                self._events.error(error.code, error)
        except _TooMuchError:
            self._events.refused("size")
            reply = replies.refusal(413, "size", "The request's body is too large.")
        except StalledError:
            raise
        except Exception as error:
            # A client that went away in the middle of its answer is nobody's fault.
            if not (exchange.status and isinstance(error, ConnectionError)):
                self._events.error("bug", f"{type(error).__name__}: {error}")
            reply = replies.refusal(500, "bug", "This is a fault of the mirror.")
        else:
            return
        if exchange.ended:
            return
        if exchange.status:
            exchange.status = 0
            # The head is gone: only a broken connection says that the body is not whole.
            raise ConnectionAbortedError("the answer could not be finished")
        await reply.send(scope, exchange.send)

    def _address(self, scope: Scope) -> str:
        if self._rules.behind_proxy:
            # The last one is what our own proxy added; the others are the client's words.
            named = replies.header(scope, b"x-forwarded-for").rpartition(",")[2].strip()
            if named and len(named) < 50:
                return named
        found = scope.get("client")
        return str(found[0]) if found else "local"

    def _malformed(self, scope: Scope) -> Reply | None:
        limits = self._rules.limits
        path: str = scope["path"]
        if scope["method"] not in _METHODS:
            return replies.refusal(
                405, "method", "A mirror is only read.", headers={"allow": ", ".join(_METHODS)}
            )
        if len(path) + len(scope.get("query_string", b"")) > limits.path:
            return replies.refusal(414, "path", "The path is too long.")
        if not path.startswith("/") or not path.isprintable() or "\\" in path or _climbs(path):
            return replies.refusal(400, "path", "The path cannot be one of ours.")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > limits.headers:
            return replies.refusal(431, "headers", "The request's headers are too long.")
        length = replies.headers(scope, b"content-length")
        if any(not one.isdigit() or int(one[:20]) > limits.body for one in length):
            return replies.refusal(413, "size", "The request's body is too large.")
        if replies.headers(scope, b"transfer-encoding"):
            # What asks for something has no body; two servers may not agree on where it ends.
            return replies.refusal(400, "body", "A request of this kind has no body.")
        hosts = replies.headers(scope, b"host")
        if len(hosts) > 1 or not self._answers_to(hosts, scope):
            # A page of elsewhere whose name leads here (DNS rebinding) must not read us.
            return replies.refusal(
                421,
                "host",
                "This mirror does not answer to that host name.",
                next_step="If it shall: mirror serve --name NAME",
            )
        return None

    def _answers_to(self, hosts: list[bytes], scope: Scope) -> bool:
        if not hosts:
            return scope.get("http_version") == "1.0" or scope["path"] in _OPEN
        host = _host(hosts[0])
        return host is not None and (host in _LOCAL or host in self._rules.names or _numeric(host))

    def _stranger(self, scope: Scope) -> Reply | None:
        """Return what somebody hears who needs a token and has none, or not the right one."""
        book, path = self._rules.tokens, scope["path"]
        if book is None or path in _OPEN:
            return None
        bundle = path.endswith(_BUNDLE) and path.count("/") == 1
        if self._rules.open_bundles and (bundle or path.startswith(_PARTS)):
            return None
        presented = tokens.presented(replies.header(scope, b"authorization"))
        try:
            token = book.find(presented)
        except PyodideOfflineError as error:
            self._events.error("tokens", error)
            token = None
        if token is None:
            code = "token-unknown" if presented else "token-missing"
            what = "The token is not known here." if presented else "A token is needed."
            return replies.refusal(401, code, what, headers=_LOGIN)
        if path in _ADMIN and not token.may(tokens.ADMIN):
            return replies.refusal(403, "role", "This needs a token of the role admin.")
        return None


class _TooMuchError(Exception):
    """A body that goes on past the limit."""


class StalledError(ConnectionError):
    """A client that takes nothing of its answer."""


class _Exchange:
    """One request's receive and send, counted and bounded in time."""

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        self.status = 0
        self.ended = False
        self._receive = receive
        self._send = send
        self._limits = limits
        self._read = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """Take a message of the client's."""
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limits.body:
            raise _TooMuchError
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Give a message to the client, who must take it in a while."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            await self._send(message)
        elif message.get("more_body"):
            try:
                async with asyncio.timeout(self._limits.stall_s):
                    await self._send(message)
            except TimeoutError as error:
                raise StalledError from error
        else:
            await self._send(message)
            self.ended = True


@lru_cache(1024)
def _host(value: bytes) -> str | None:
    """Return the host of a Host header without its port; None for what is no such header."""
    text = value.decode("latin-1").lower()
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        host, port = (host, port.removeprefix(":")) if closed else ("", "")
    else:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return host.rstrip(".")


@lru_cache(1024)
def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _climbs(path: str) -> bool:
    return "/." in path and any(part in (".", "..") for part in path.split("/"))
