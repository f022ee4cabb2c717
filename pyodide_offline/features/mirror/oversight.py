"""What an operator does: accepts a change, holds the store to its log, has it pruned.

Each opens the store for itself; fronts may go on meanwhile.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import chain, opening, state
from pyodide_offline.features.mirror.audit import Audit, Report
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.entries import Link
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.ledger import Pending
from pyodide_offline.features.mirror.pruning import DAY_S, Pruned, Pruning


@dataclass(frozen=True)
class Office:
    """A store, and with which keys: as in ``serve``."""

    store: str
    environ: Mapping[str, str]
    cache: Path
    signing_key: Path
    trusted: Sequence[str] = ()
    single: bool = False

    @asynccontextmanager
    async def depot(self) -> AsyncIterator[Depot]:
        """Yield the store. Raises DepotDownError, SettingsError, UnsupportedError."""
        made = await opening.opened(self.store, self.environ, self.cache, single=self.single)
        try:
            yield made
        finally:
            await made.close()


def pending(office: Office, kind: str, name: str) -> tuple[dict[str, str], list[Pending]]:
    """Return a package's pins, and what was refused of it."""

    async def look() -> tuple[dict[str, str], list[Pending]]:
        async with office.depot() as depot:
            ledger = state.ledger(depot, office.signing_key, _unheard(), office.trusted)
            return await ledger.pins(kind, name), await ledger.pending(kind, name)

    return asyncio.run(look())


def accept(office: Office, kind: str, name: str, version: str, digest: str = "") -> tuple[str, str]:
    """Pin another digest for a version; return the old and the new one."""

    async def change() -> tuple[str, str]:
        async with office.depot() as depot:
            ledger = state.ledger(depot, office.signing_key, _unheard(), office.trusted)
            return await ledger.accept(kind, name, version, digest)

    return asyncio.run(change())


def audit(
    office: Office, seen: Iterable[str] = (), advance: Callable[[int], None] = lambda _: None
) -> Report:
    """Hold a store to its log. ``seen`` are heads (NUMBER:SHA256) that it must lead back to.

    Needs no secret key. Raises SettingsError where no key is known, DepotDownError.
    """
    keys = state.known_keys(office.signing_key, office.trusted)
    if not keys:
        raise SettingsError(
            "There is no key to hold the mirror's log to.",
            next_step="Name the fronts' with --trust-key, or one's --signing-key.",
        )
    links = [_link(one) for one in seen]

    async def look() -> Report:
        async with office.depot() as depot:
            last = chain.remembered(state.memory(office.signing_key, depot))
            return await Audit(depot, keys, [*links, last], advance).run()

    return asyncio.run(look())


def prune(office: Office, days: float, *, dry: bool = False) -> Pruned:
    """Remove from a store what nobody has needed for so many days; ``dry`` only counts.

    Raises StorageError for a name that cannot be read, DepotDownError.
    """

    async def remove() -> Pruned:
        async with office.depot() as depot:
            return await Pruning(depot, age=days * DAY_S).run(dry=dry)

    return asyncio.run(remove())


def _link(text: str) -> Link:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise SettingsError(
            f"{text[:100]!r} is no head of a log.", next_step="`mirror audit` prints one."
        )
    return Link(int(number), digest)


def _unheard() -> Events:
    """Return where a server's log goes when it is a command that runs."""
    return Events(io.StringIO())
