"""A front of the mirror in this process, asked as its server asks it (ASGI), no socket between.

async with fronts.front(session, tmp_path, upstreams={"npm": registry.url}) as made:
    got = await fronts.ask(made.app, "/npm/left-pad")
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyodide_offline.features.mirror import serve
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.serve import Front, Settings
from pyodide_offline.session import Session


@dataclass
class Got:
    """An answer; ``whole`` says whether the body has the length that its head names."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    path: str = ""
    error: BaseException | None = None

    @property
    def whole(self) -> bool:
        length = self.headers.get("content-length")
        return self.ended and (length is None or int(length) == len(self.body))


@asynccontextmanager
async def front(
    session: Session, folder: Path, *, store: Path | None = None, **settings: Any
) -> AsyncIterator[Front]:
    """Yield a front with its own cache below ``folder``, its depot in ``store``."""
    # Neither npm nor pip is started to tell their settings, unless a test names just the other.
    nobody = {"npm": "http://127.0.0.1:9/", "pypi": "http://127.0.0.1:9/"}
    settings["upstreams"] = settings.get("upstreams", nobody)
    if settings.pop("alone", True):
        settings["upstreams"] = {**nobody, **settings["upstreams"]}
    settings.setdefault("single", store is None)
    depot = store or folder / "depot"
    # Fronts of one depot sign with one key.
    settings.setdefault("signing_key", depot.parent / "signing.key")
    made = Settings(store=str(depot), cache=folder / "cache", **settings)
    async with serve.front(session, made, Events(io.StringIO())) as running:
        yield running


async def ask(
    app: Any,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    extensions: bool = True,
    hang_up: asyncio.Event | None = None,
) -> Got:
    """Ask an app; what it raises after its head is in ``error``."""
    got = Got()
    lines = {"host": "127.0.0.1:1", **(headers or {})}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in lines.items()],
        "client": ("127.0.0.1", 2),
        "server": ("127.0.0.1", 1),
        "extensions": {"http.response.pathsend": {}} if extensions else {},
    }
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await (hang_up or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not got.status, "two heads"
            got.status = message["status"]
            got.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.pathsend":
            got.path = message["path"]
            got.body = Path(got.path).read_bytes()
            got.ended = True
        else:
            got.body += message.get("body", b"")
            got.ended = not message.get("more_body", False)
        await asyncio.sleep(0)

    try:
        await app(scope, receive, send)
    except (ConnectionError, asyncio.CancelledError) as error:
        got.error = error
    return got


def played(scene: Callable[[], Awaitable[None]], seconds: float = 30) -> None:
    """Run a scene in a loop of its own, bounded."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await scene()

    asyncio.run(bounded())
