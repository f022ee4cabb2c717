"""The mirror as one ASGI application: paths to routes. The guard is around it."""

import re
from collections.abc import Mapping

from pyodide_offline.features.mirror import replies
from pyodide_offline.features.mirror.bundles import BUCKET, Bundles
from pyodide_offline.features.mirror.digests import Digests
from pyodide_offline.features.mirror.hits import Hits
from pyodide_offline.features.mirror.npm import Npm
from pyodide_offline.features.mirror.pyodide import Pyodide
from pyodide_offline.features.mirror.replies import App, Receive, Scope, Send
from pyodide_offline.features.mirror.simple import Simple

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class Mirror:
    """Answers GET and HEAD. ``pages`` are whole applications by their path (/healthz, /).

    ``base`` is the address that clients have of it, where their Host header does not tell.
    """

    def __init__(
        self,
        *,
        hits: Hits,
        npm: Npm,
        simple: Simple,
        bundles: Bundles,
        pyodide: Pyodide,
        digests: Digests,
        base: str = "",
        pages: Mapping[str, App] | None = None,
    ) -> None:
        self._hits = hits
        self._npm = npm
        self._simple = simple
        self._bundles = bundles
        self._pyodide = pyodide
        self._digests = digests
        self._base = base.rstrip("/")
        self._pages = dict(pages or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises what routes raise, for the guard to tell."""
        path = str(scope["path"])
        if await self._hits.hot(scope, send):
            return
        if page := self._pages.get(path):
            await page(scope, receive, send)
        elif not await self._answered(scope, receive, send, path):
            reply = replies.refusal(404, "nothing", "The mirror has nothing of this name.")
            await reply.send(scope, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        top, slash, rest = path.removeprefix("/").partition("/")
        if not slash:
            return await self._bundles(scope, receive, send, top)
        if top == BUCKET:
            return await self._bundles(scope, receive, send, f"{top}/{rest}")
        if top == "npm":
            return await self._npm(scope, receive, send, rest, self._address(scope))
        if top == "simple":
            return await self._simple.page(scope, send, rest)
        if top == "files":
            return await self._simple.file(scope, receive, send, rest)
        if top == "pyodide":
            return await self._pyodide(scope, receive, send, rest)
        if top == "sha256":
            return await self._digests(scope, send, rest)
        return False

    def _address(self, scope: Scope) -> str:
        """Return the mirror's own address as this client has it."""
        if self._base:
            return self._base
        host = replies.header(scope, b"host")
        if not _HOST.fullmatch(host):
            server = scope.get("server") or ("127.0.0.1", 0)
            host = f"{server[0]}:{server[1]}"
        return f"{scope.get('scheme', 'http')}://{host}"
