"""DNS over HTTPS (RFC 8484): resolvers raced once, the fastest good one asked from then on.

- HTTP/2 is offered, as RFC 8484 §5.2 recommends and unbound and bind9 demand; a server or
  an inspecting proxy that has only HTTP/1.1 is spoken to in that.
- By address and by name (see ``resolvers``), over the dialer: so through every kind of proxy,
  with every login. The certificate is checked against the name in both cases.
- The losers of a race are cancelled.
- Each request ends after SECONDS, each answer at 64 KiB. Redirects are not followed: where
  DNS comes from is the user's choice (RFC 8484 §8.2 warns of others').
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pyodide_offline import __version__
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import answers, connect, failures, line, resolvers, trust
from pyodide_offline.network.answers import Answer, BadAnswerError
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.resolvers import JSON, Resolver, Target
from pyodide_offline.network.sockets import Streams
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import ssl


SECONDS = 5.0  # for one request by one way, from the connection to the last byte
HEAD_START = 0.7  # seconds before those by name are asked beside those by address
_MESSAGE = "application/dns-message"
_JSONS = {"application/dns-json", "application/json"}
_PAGES = {"text/html", "application/xhtml+xml"}

AUTO, DIRECT, PROXY = "auto", "direct", "proxy"


@dataclass(frozen=True)
class Reply:
    """An answer, who gave it, after how many milliseconds."""

    answer: Answer
    source: str
    ms: float


class ResolverFailedError(Exception):
    """Every resolver answered in a way that is none; ``rcode`` as the first one said it."""

    def __init__(self, rcode: str, reasons: Mapping[str, str]) -> None:
        super().__init__(rcode)
        self.rcode = rcode
        self.reasons = reasons


class Asker:
    """An open door to the resolvers: ``async with Asker(…) as asker: await asker.ask(…)``.

    ``way``: AUTO heeds the environment's proxy variables, DIRECT does not, PROXY goes
    through the proxy even where NO_PROXY says otherwise.
    """

    def __init__(self, session: Session, chosen: Sequence[Resolver], way: str = AUTO) -> None:
        self._session = session
        ways = upstreams(session, chosen, way)
        self._ways = dict(zip(chosen, ways, strict=True))
        direct = [one for one in chosen if not self._ways[one]]
        proxied = [one for one in chosen if self._ways[one]]
        both = (resolvers.waves(direct, proxied=False), resolvers.waves(proxied, proxied=True))
        self._waves = [list(chain(*waves)) for waves in zip_longest(*both, fillvalue=())]
        self._lines: dict[Target, line.Line] = {}
        self._election = asyncio.Lock()
        self._elected: Target | None = None
        self._dead: NetworkError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in self._lines.values():
            one.close()
        await asyncio.sleep(0)

    async def ask(self, name: str, kind: str) -> Reply:
        """Return the first good answer.

        Raises ResolverFailedError (SERVFAIL and its like), NetworkError if nobody was reached.
        """
        async with self._election:
            if self._dead:
                raise self._dead
            if self._elected is None:
                self._elected, reply = await self._race(name, kind)
                return reply
        try:
            return await self._one(self._elected, name, kind)
        except (BadAnswerError, NetworkError):
            return (await self._race(name, kind))[1]

    async def _race(self, name: str, kind: str) -> tuple[Target, Reply]:
        waiting = list(self._waves)
        running: dict[asyncio.Task[Reply], Target] = {}
        failed: dict[str, BadAnswerError | NetworkError] = {}
        try:
            while waiting or running:
                if waiting:
                    for target in waiting.pop(0):
                        running[asyncio.create_task(self._one(target, name, kind))] = target
                deadline = time.monotonic() + HEAD_START
                while running:
                    left = max(0.0, deadline - time.monotonic()) if waiting else None
                    done, _ = await asyncio.wait(
                        running, timeout=left, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        target = running.pop(task)
                        try:
                            return target, task.result()
                        except (BadAnswerError, NetworkError) as error:
                            failed[target.label] = error
                    if not done:
                        break
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        raise self._lost(failed)

    def _lost(self, failed: Mapping[str, BadAnswerError | NetworkError]) -> Exception:
        """Return what it means that nobody gave a good answer."""
        reasons = {
            label: error.reason if isinstance(error, BadAnswerError) else error.what
            for label, error in failed.items()
        }
        for error in failed.values():
            if isinstance(error, BadAnswerError) and error.rcode:
                return ResolverFailedError(error.rcode, reasons)
        unreached = [error for error in failed.values() if isinstance(error, NetworkError)]
        steps = [error.next_step for error in unreached]
        # One proxy's no to all of them is said once, and whole.
        common = len(unreached) == len(failed) > 0 and len(set(reasons.values())) == 1
        self._dead = NetworkError(
            "No resolver could be asked over HTTPS.",
            why=f"{unreached[0].what} {unreached[0].why}" if common else _few(reasons),
            next_step=next(
                (step for step in steps if step),
                "Name another one: --resolver https://dns.example/dns-query",
            ),
        )
        return self._dead

    async def _one(self, target: Target, name: str, kind: str) -> Reply:
        """Ask one resolver once. Raises BadAnswerError, NetworkError."""
        began = time.monotonic()
        url = target.resolver.url
        try:
            # Each proxy that has to be tried gets the whole time.
            async with asyncio.timeout(SECONDS * max(1, len(self._ways[target.resolver]))):
                body = await self._exchange(target, name, kind)
        except TimeoutError as error:
            host = failures.host_of(url)
            raise NetworkError(f"{host} did not answer within {SECONDS:.0f} seconds.") from error
        except line.TooLargeError as error:
            raise BadAnswerError("an answer that is too large") from error
        except (OSError, line.BrokenError) as error:
            # In a thread: it may look at the certificate that was refused.
            upstream = next(iter(self._ways[target.resolver]), None)
            explained = await asyncio.to_thread(
                failures.explain, error, url, upstream, environ=self._session.environ
            )
            raise explained from error
        reader = answers.read_json if target.resolver.form == JSON else answers.read
        answer = reader(body, name, kind)
        return Reply(answer, target.label, (time.monotonic() - began) * 1000)

    async def _exchange(self, target: Target, name: str, kind: str) -> bytes:
        resolver = target.resolver
        method, url, content = resolvers.request(target, name, kind, answers.question(name, kind))
        parts = urlsplit(url)
        headers = [
            ("user-agent", f"pyodide-offline/{__version__}"),
            ("accept", "application/dns-json" if resolver.form == JSON else _MESSAGE),
        ]
        if content:
            headers.append(("content-type", _MESSAGE))
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        question = line.Question(method, parts.netloc, path, headers, content)
        reply = await self._line(target).ask(question, answers.LONGEST)
        _check(reply.status, reply.type, json=resolver.form == JSON)
        return bytes(reply.content)

    def _line(self, target: Target) -> line.Line:
        """Return the connection to a target; made late: the system's answer may be enough."""
        if target not in self._lines:
            self._lines[target] = line.Line(lambda: self._open(target))
        return self._lines[target]

    async def _open(self, target: Target) -> Streams:
        """Connect, by the resolver's proxies. Raises NetworkError, OSError."""
        parts = urlsplit(target.resolver.url)
        host, port = parts.hostname or "", parts.port or 443
        dialed = await connect.dial(
            target.address or host,
            port,
            self._ways[target.resolver],
            environ=self._session.environ,
            timeout=SECONDS,
        )
        if dialed.early:
            dialed.close()
            raise line.BrokenError("The server speaks before TLS has begun.")
        try:
            # The certificate is checked against the name, whatever address is connected to.
            if dialed.streams is not None:
                await dialed.streams[1].start_tls(self._trust, server_hostname=host)
                return dialed.streams
            return await asyncio.open_connection(
                sock=dialed.socket, ssl=self._trust, server_hostname=host
            )
        except BaseException:
            dialed.close()
            raise

    @cached_property
    def _trust(self) -> "ssl.SSLContext":
        made = trust.context(self._session.environ, note=self._session.progress.note)
        made.set_alpn_protocols(list(line.ALPN))
        return made


def _few(reasons: Mapping[str, str]) -> str:
    """Return three reasons; more of them say the same again."""
    parts = [f"{label}: {reason.rstrip('.')}." for label, reason in reasons.items()]
    return " ".join(parts[:3])


def upstreams(
    session: Session, chosen: Sequence[Resolver], way: str = AUTO
) -> list[list[Upstream]]:
    """Return the proxies for each resolver, decided by its name and not by an address it has.

    Raises SettingsError for one that cannot be used.
    """
    found = Upstreams(session)
    parts = [urlsplit(one.url) for one in chosen]
    return [
        []
        if way == DIRECT
        else found.for_target(
            "https", one.hostname or "", one.port or 443, heed_no_proxy=way != PROXY
        )
        for one in parts
    ]


def _check(status: int, said: str, *, json: bool) -> None:
    """Refuse what is no DNS answer at all (RFC 8484 §4.2.1, §6)."""
    kind = said.partition(";")[0].strip().lower()
    if kind in _PAGES:
        raise BadAnswerError(
            f"a web page (HTTP {status}) in place of an answer: "
            "perhaps a proxy's block or login page"
        )
    if status != 200:
        raise BadAnswerError(f"HTTP {status}")
    if kind not in (_JSONS if json else {_MESSAGE}):
        shown = kind if kind.isprintable() and len(kind) < 60 else "an odd one"
        raise BadAnswerError(f"an answer of the wrong type ({shown or 'none'})")
