"""A front: everything put together, granian in front of it, stopped gracefully."""

import asyncio
import ctypes
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import links, listening, opening, state
from pyodide_offline.features.mirror import origins as upstreams
from pyodide_offline.features.mirror.app import Mirror
from pyodide_offline.features.mirror.bundles import Bundles
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.digests import Digests
from pyodide_offline.features.mirror.diskcache import LIMIT, DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.guard import Guard, Rules
from pyodide_offline.features.mirror.health import Health
from pyodide_offline.features.mirror.hits import Hits
from pyodide_offline.features.mirror.indexing import FRESH, Indexing
from pyodide_offline.features.mirror.late import LateDepot
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.ledger import Ledger
from pyodide_offline.features.mirror.links import Links
from pyodide_offline.features.mirror.notebook import Notebook
from pyodide_offline.features.mirror.npm import Npm
from pyodide_offline.features.mirror.pages import pages
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.pyodide import Pyodide
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.replies import App
from pyodide_offline.features.mirror.simple import Simple
from pyodide_offline.features.mirror.upstream import Upstream
from pyodide_offline.session import Session

BACKLOG = 1024
_ARENA_MAX = -8  # malloc.h
STOP_WITHIN = 10.0  # seconds for requests that are under way


@dataclass(frozen=True)
class Settings:
    """What an operator says.

    ``store`` is the depot's URL or folder, ``cache`` the folder of this front alone;
    ``upstreams`` are --upstream by kind, ``accel`` folders by their address in nginx,
    ``links`` the folder of links that nginx reads.
    """

    store: str
    cache: Path
    listen: str = "127.0.0.1:8417"
    upstreams: Mapping[str, str] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    offline: bool = False
    limit: int = LIMIT
    fresh: float = FRESH
    base: str = ""
    certificate: Path | None = None
    key: Path | None = None
    single: bool = False
    signing_key: Path | None = None
    trusted: Sequence[str] = ()
    accel: Mapping[Path, str] = field(default_factory=dict)
    links: Path | None = None
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Front:
    """What runs behind the server's socket."""

    app: App
    depot: Depot
    pull: Pull
    indexing: Indexing
    ledger: Ledger
    health: Health
    events: Events
    npm: Npm
    simple: Simple


@asynccontextmanager
async def front(session: Session, settings: Settings, events: Events) -> AsyncIterator[Front]:
    """Yield all of a front but the server; in the loop that it is used in."""
    with ExitStack() as folders:
        notebook = Notebook(settings.cache / "names.db", settings.store)
        folders.callback(notebook.close)

        async def opened() -> Depot:
            return await opening.opened(
                settings.store, session.environ, settings.cache, single=settings.single
            )

        depot, late = await _store(opened, notebook, events)
        known = await asyncio.to_thread(upstreams.read, session, settings.upstreams, settings.hosts)
        upstream = Upstream(session, events, known.permit, peer=known.permit_peer)
        file = settings.signing_key or settings.cache.parent / "signing.key"
        ledger = state.ledger(depot, file, events, settings.trusted)

        async def begin() -> None:
            await ledger.open()
            notebook.begin(depot.label)

        coming = asyncio.create_task(late.come(opened, begin, events)) if late else None
        if late is None:
            await begin()
        cache = DiskCache(
            settings.cache,
            depot,
            limit=settings.limit,
            damaged=lambda key, where: events.error("damaged", f"{key} in {where}"),
        )
        folder = folders.enter_context(_unfinished(settings.cache))
        pull = Pull(
            Refbook(depot, events, notebook=notebook),
            cache,
            Leases(depot),
            upstream,
            events,
            folder=folder,
            offline=settings.offline or session.offline,
        )
        indexing = Indexing(pull, upstream, ledger.admit, check=ledger.check, fresh=settings.fresh)
        linked = None
        if settings.links:
            guarded = settings.rules.tokens is not None
            linked = Links(settings.links / (links.TOKENS if guarded else links.OPEN), cache.known)
            folders.enter_context(linked.watched())
        hits = Hits(events, settings.accel, linked)
        npm = Npm(pull, indexing, hits, known)
        simple = Simple(pull, indexing, hits, known)
        bundles = Bundles(pull, hits, known, ledger.admit, check=ledger.check)
        pyodide = Pyodide(pull, hits, known, npm)
        health = Health(depot, events, lambda: late is None or late.here)
        app = Mirror(
            hits=hits,
            npm=npm,
            simple=simple,
            bundles=bundles,
            pyodide=pyodide,
            digests=Digests(pull, hits),
            base=settings.base,
            pages=pages(depot, events, health),
        )
        try:
            yield Front(
                Guard(app, settings.rules, events),
                depot,
                pull,
                indexing,
                ledger,
                health,
                events,
                npm,
                simple,
            )
        finally:
            if coming:
                coming.cancel()
                await asyncio.wait([coming])
            await ledger.close()
            await pull.close()
            await upstream.close()
            await depot.close()


async def _store(
    opened: Callable[[], Awaitable[Depot]], notebook: Notebook, events: Events
) -> tuple[Depot, LateDepot | None]:
    """Open the store; where it is down, and this front has served from it, it may come late."""
    try:
        return await opened(), None
    except DepotDownError as error:
        if not (notebook.label and len(notebook)):
            raise
        events.error("depot", error)
        late = LateDepot(notebook.label)
        return late, late


def serve(
    session: Session, settings: Settings, ready: Callable[[str], None], events: Events | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C. ``ready`` is told the address once it is listened to.

    Raises SettingsError, NetworkError (the address is taken), StorageError, DepotDownError.
    """
    _share_arenas()
    with asyncio.Runner(loop_factory=_loop()) as runner:
        runner.run(_serve(session, settings, ready, events or Events()))


def _share_arenas() -> None:
    """Let threads share memory arenas: glibc keeps eight a core, each with its own leftovers."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop: uvloop's answers twice as often, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    session: Session, settings: Settings, ready: Callable[[str], None], events: Events
) -> None:
    from granian.constants import Interfaces, SSLProtocols
    from granian.server.embed import Server

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with listening.reserved(settings.listen) as (host, port, unix):
        async with front(session, settings, events) as made:
            server = Server(
                made.app,
                address=host,
                port=port,
                uds=unix,
                interface=Interfaces.ASGINL,
                websockets=False,
                backlog=BACKLOG,
                backpressure=BACKLOG,
                log_enabled=False,
                ssl_cert=settings.certificate,
                ssl_key=settings.key,
                ssl_protocol_min=SSLProtocols.tls12,
            )
            serving = asyncio.create_task(server.serve())
            ending = asyncio.create_task(stopping.wait())
            try:
                await listening.taking(host, port, unix, serving)
                scheme = "https" if settings.certificate else "http"
                name = f"[{host}]" if ":" in host else host
                where = settings.listen if unix else f"{scheme}://{name}:{port}"
                events.note("started", address=where, store=made.depot.label)
                ready(where)
                await asyncio.wait([serving, ending], return_when=asyncio.FIRST_COMPLETED)
            finally:
                events.note("stopping")
                made.health.stopping = True
                ending.cancel()
                server.stop()  # type: ignore[no-untyped-call]
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(serving, STOP_WITHIN)


@contextmanager
def _unfinished(cache: Path) -> Iterator[Path]:
    """Yield a folder of this process for files that grow; what killed ones left is removed."""
    base = cache / "growing"
    base.mkdir(parents=True, exist_ok=True)
    for other in base.iterdir():
        with suppress(OSError), _locked(other):
            shutil.rmtree(other)
    folder = Path(tempfile.mkdtemp(dir=base))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder as long as this process lives. Raises OSError if another one does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
