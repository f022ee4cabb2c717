"""The one door to upstreams: by the user's proxies and routes, checked, bounded.

Threads, because the network part is synchronous: one for each fetch under way, at most
LINES. Each takes a client that an earlier one left, so that connections are used again.
What fails for a moment is tried again; a body that broke off goes on where it was, if the
server sends the same file. Nothing of a client's own request is passed on.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pyodide_offline import redact
from pyodide_offline.errors import IntegrityError, NetworkError, PyodideOfflineError, RegistryError
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.growing import Growing
from pyodide_offline.network import failures, fetch, trust
from pyodide_offline.network.fetch import HttpStatusError
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import ssl

    import httpx

LINES = 256
KEPT = 16  # clients without work, and their connections
_CHUNK = 32 << 10
_GONE = {404, 410}
_T = TypeVar("_T")
Permit = Callable[[str], str]
Peer = Callable[[str, str], str]


@dataclass(frozen=True)
class Source:
    """Where an upstream has something. ``headers`` (a login) stay with its origin.

    ``checked``: a digest is known, so that redirects may lead to strangers, by https.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_files: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    checked: bool = False

    @property
    def host(self) -> str:
        """Host and port, for people and for counts."""
        return failures.host_of(self.url)


@dataclass(frozen=True)
class Reply:
    """The head of an answer, and its body where that was read at once. 304: not changed."""

    status: int
    content_type: str = ""
    etag: str = ""
    modified: str = ""
    body: bytes = b""


class Upstream:
    """``permit`` gives the reason why a URL must not be asked, nothing if it may be; ``peer``
    that for the address to which its name led when it was connected to.
    """

    def __init__(
        self,
        session: Session,
        events: Events,
        permit: Permit,
        *,
        peer: Peer | None = None,
        lines: int = LINES,
    ) -> None:
        self._session = session
        self._events = events
        self._permit = permit
        self._peer = peer
        self._threads = ThreadPoolExecutor(lines, thread_name_prefix="upstream")
        self._idle: dict[tuple[Path, ...], list[httpx.Client]] = {}
        self._lock = threading.Lock()
        self._contexts: dict[tuple[Path, ...], ssl.SSLContext] = {}
        self._closing = threading.Event()

    async def fetch(self, kind: str, source: Source, growing: Growing) -> Reply:
        """Fill ``growing`` with what is at the source, up to the end, which stays unsaid.

        Raises NetworkError, RegistryError (with ``facts["status"]``), IntegrityError,
        StorageError.
        """
        return await self._run(
            lambda: self._timed(kind, source, lambda: self._fill(source, growing))
        )

    async def read(
        self, kind: str, source: Source, *, limit: int, known: Reply | None = None, tries: int = 3
    ) -> Reply:
        """Return an answer whole, or 304 if it still is what ``known`` tells. Raises as ``fetch``.

        With one try, a server that is down is said so at once.
        """
        headers = {}
        if known and known.etag:
            headers["If-None-Match"] = known.etag
        elif known and known.modified:
            headers["If-Modified-Since"] = known.modified

        def whole(response: "httpx.Response") -> Reply:
            body = bytearray()
            for chunk in response.iter_bytes(_CHUNK):
                body += chunk
                if len(body) > limit:
                    raise _too_long(source, limit)
            return _reply(response, bytes(body))

        def asked() -> Reply:
            return self._ask(source, lambda: headers, whole, lambda: 0, tries)

        return await self._run(lambda: self._timed(kind, source, asked))

    async def close(self) -> None:
        """End what is under way, and close all connections."""
        self._closing.set()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        for clients in self._idle.values():
            for client in clients:
                client.close()
        self._idle.clear()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _timed(self, kind: str, source: Source, work: Callable[[], Reply]) -> Reply:
        began, outcome = time.monotonic(), "ok"
        try:
            return work()
        except PyodideOfflineError as error:
            outcome = "missing" if error.facts.get("status") in _GONE else error.code
            raise
        finally:
            self._events.upstream(kind, source.host, time.monotonic() - began, outcome)

    def _fill(self, source: Source, growing: Growing) -> Reply:
        def rest() -> Mapping[str, str]:
            asked = {"Accept-Encoding": "identity"}
            if growing.size:
                asked["Range"] = f"bytes={growing.size}-"
            return asked

        def save(response: "httpx.Response") -> Reply:
            fetch.refuse_page(response)
            begun = _part(response, growing, source)
            total = fetch.announced(response)
            growing.begin(None if total is None else begun + total)
            # Raw: a .tgz that a server labels as Content-Encoding: gzip must stay one.
            chunks = response.iter_raw(_CHUNK)
            if not begun and growing.size:
                chunks = _after(chunks, growing, source)
            for chunk in chunks:
                if self._closing.is_set():
                    raise NetworkError(f"{growing.label} was not fetched: the mirror stops.")
                growing.append(chunk)
            return _reply(response)

        return self._ask(source, rest, save, lambda: growing.size, 1 + len(fetch.PAUSES))

    def _ask(
        self,
        source: Source,
        headers: Callable[[], Mapping[str, str]],
        use: "Callable[[httpx.Response], Reply]",
        size: Callable[[], int],
        tries: int,
    ) -> Reply:
        import httpx

        number, kept = 0, size()
        with self._client(source.ca_files) as client:
            while True:
                number, pause = number + 1, 0.0
                if size() - kept >= fetch.GAIN:
                    number, kept = 1, size()
                question = fetch.Question(
                    source.url,
                    {**source.headers, **headers()},
                    redact.url(source.url),
                    source.hosts,
                    source.checked,
                    self._permit,
                )
                try:
                    with fetch.answer(client, question) as response:
                        return use(response)
                except HttpStatusError as error:
                    if error.status == 304:
                        return Reply(304)
                    if number >= tries or error.status not in fetch.TRANSIENT:
                        raise _refused(error) from error
                    pause = error.pause
                except NetworkError as error:
                    if number >= tries or not failures.worth_another_try(error):
                        raise
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    environ = self._session.environ
                    raise failures.explain(error, source.url, environ=environ) from error
                pause = min(max(pause, fetch.PAUSES[number - 1]), fetch.LONGEST_PAUSE)
                if self._closing.wait(pause):
                    raise NetworkError(f"{source.host} was not asked again: the mirror stops.")

    @contextmanager
    def _client(self, ca_files: tuple[Path, ...]) -> "Iterator[httpx.Client]":
        with self._lock:
            idle = self._idle.setdefault(ca_files, [])
            client = idle.pop() if idle else None
        client = client or fetch.client(
            self._session, ca_files, lambda: self._context(ca_files), self._peer
        )
        try:
            yield client
        finally:
            with self._lock:
                keeping = len(idle) < KEPT and not self._closing.is_set()
                if keeping:
                    idle.append(client)
            if not keeping:
                client.close()

    def _context(self, ca_files: tuple[Path, ...]) -> "ssl.SSLContext":
        """Return one context for all: each has its own copy of the CAs, a megabyte or more."""
        with self._lock:
            if ca_files not in self._contexts:
                self._contexts[ca_files] = trust.context(
                    self._session.environ, ca_files, note=self._session.progress.note
                )
            return self._contexts[ca_files]


def permit_any(_url: str) -> str:
    """Permit every address."""
    return ""


def permit_origins(origins: Collection[str]) -> Permit:
    """Permit addresses of these origins only."""
    known = {fetch.origin(one) for one in origins}
    return lambda url: "" if fetch.origin(url) in known else "It is no upstream of this mirror."


def _reply(response: "httpx.Response", body: bytes = b"") -> Reply:
    def said(name: str) -> str:
        text: str = response.headers.get(name, "")
        return text if len(text) < 500 and text.isprintable() else ""

    return Reply(200, said("Content-Type"), said("ETag"), said("Last-Modified"), body)


def _part(response: "httpx.Response", growing: Growing, source: Source) -> int:
    """Return the place in the file at which this answer begins."""
    if response.status_code != 206:
        return 0
    said = response.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {growing.size}-"):
        raise NetworkError(f"{source.host} sends another part of {growing.label}.")
    return growing.size


def _after(chunks: Iterator[bytes], growing: Growing, source: Source) -> Iterator[bytes]:
    """Yield what follows the bytes that are there already, which must be the same."""
    left, seen, wanted = growing.size, hashlib.sha256(), growing.so_far()
    for chunk in chunks:
        head = chunk[:left]
        seen.update(head)
        left -= len(head)
        if left == 0 and head and seen.digest() != wanted:
            raise IntegrityError(f"{source.host} sends another {growing.label} than before.")
        if len(chunk) > len(head):
            yield chunk[len(head) :]


def _refused(error: HttpStatusError) -> PyodideOfflineError:
    facts = {"status": error.status}
    if error.status in _GONE:
        return RegistryError(f"{error.host} does not have {error.url}.", facts=facts)
    return RegistryError(
        f"{error.host} answered {error.status}.",
        why=f"It was asked for {error.url}.",
        next_step="See what the upstream says to this address; a login may be missing.",
        facts=facts,
    )


def _too_long(source: Source, limit: int) -> IntegrityError:
    return IntegrityError(
        f"{redact.url(source.url)} is longer than the {limit} bytes that are allowed.",
        why="The answer cannot be what was asked for.",
    )
