"""In Pyodide: asks an ASGI app (its specification 3.0) without a server or a socket.

This runs in the browser, so it imports nothing of pyodide-offline.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote

HOST = "browser.invalid"  # RFC 6761 section 6.4: never a real host
_Message = MutableMapping[str, Any]
_App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Any]], Any]


def find(target: str) -> Any:  # noqa: ANN401 - an app of any framework
    """Return the app that ``module:name`` names."""
    without_threads()
    module, _, name = target.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def without_threads() -> None:
    """Have anyio, so Starlette and FastAPI too, call what they would give a thread.

    There are no threads in a browser's Pyodide.
    """
    try:
        to_thread = importlib.import_module("anyio.to_thread")
    except ImportError:
        return

    async def run_sync(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:  # noqa: ANN401
        return function(*arguments)

    to_thread.run_sync = run_sync  # type: ignore[attr-defined]


class Site:
    """One app, with its lifespan and the cookies that it has set."""

    def __init__(self, app: _App) -> None:
        self._app = app
        self._cookies: SimpleCookie = SimpleCookie()
        self._lifespan: asyncio.Future[None] | None = None
        self._state: dict[str, Any] = {}

    async def start(self) -> None:
        """Run the app's startup, if it has one. Raises RuntimeError if that fails."""
        events: asyncio.Queue[_Message] = asyncio.Queue()
        answered: asyncio.Future[_Message] = asyncio.get_running_loop().create_future()

        async def send(message: _Message) -> None:
            if not answered.done():
                answered.set_result(message)

        async def run() -> None:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
            try:
                await self._app(scope, events.get, send)
            except Exception:  # an app without lifespan raises, says the specification
                if answered.done() and answered.result()["type"] != "lifespan.startup.complete":
                    raise
            if not answered.done():
                answered.set_result({"type": "lifespan.startup.complete"})

        await events.put({"type": "lifespan.startup"})
        self._lifespan = asyncio.ensure_future(run())
        if (message := await answered)["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"The app does not start: {message.get('message') or 'no reason'}")

    async def ask(
        self,
        method: str,
        path: str,
        headers: list[list[str]],
        body: Any,  # noqa: ANN401
    ) -> tuple[int, list[list[str]], bytes]:
        """Return status, headers and body of the app's answer."""
        content = body.to_bytes() if hasattr(body, "to_bytes") else bytes(body)
        way, _, query = path.partition("#")[0].partition("?")
        pairs = [(b"host", HOST.encode()), (b"content-length", str(len(content)).encode())]
        pairs += [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        if self._cookies:
            jar = "; ".join(f"{name}={one.coded_value}" for name, one in self._cookies.items())
            pairs.append((b"cookie", jar.encode("latin-1")))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(way),
            "raw_path": way.encode("ascii", "replace"),
            "query_string": query.encode("ascii", "replace"),
            "root_path": "",
            "headers": pairs,
            "client": ("127.0.0.1", 1),
            "server": (HOST, 80),
            "state": dict(self._state),
        }
        return await self._exchange(scope, content)

    async def _exchange(
        self, scope: _Message, content: bytes
    ) -> tuple[int, list[list[str]], bytes]:
        requests: list[_Message] = [{"type": "http.request", "body": content, "more_body": False}]
        ended = asyncio.Event()
        status, pairs, parts = 500, [], []

        async def receive() -> _Message:
            if requests:
                return requests.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: _Message) -> None:
            nonlocal status, pairs
            if message["type"] == "http.response.start":
                status = message["status"]
                pairs = [
                    [name.decode("latin-1").lower(), value.decode("latin-1")]
                    for name, value in message.get("headers", ())
                ]
            elif message["type"] == "http.response.body":
                parts.append(bytes(message.get("body", b"")))
                if not message.get("more_body"):
                    ended.set()

        await self._app(scope, receive, send)
        for name, value in pairs:
            if name == "set-cookie":
                self._cookies.load(value)
        return status, pairs, b"".join(parts)
