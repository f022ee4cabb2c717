"""Fill the store with all that a worker needs, and say what is there."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import process
from pyodide_offline.errors import ProjectError, ToolchainError, WorkerdError
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers import placement, probe, project, supply
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain, listing, sync
from pyodide_offline.workers.toolchain import node as nodes

PYTHON_FLAG = "python_workers"


@dataclass(frozen=True)
class Item:
    """One line of the answer; ``size`` in bytes, None where it is the user's own."""

    what: str
    version: str
    origin: str
    size: int | None
    fetched: bool


@dataclass(frozen=True)
class Report:
    """What is now there, and whether anything had to be fetched for it."""

    items: tuple[Item, ...]
    folder: Path

    @property
    def fetched(self) -> bool:
        """Whether something was fetched or made."""
        return any(item.fetched for item in self.items)


def for_project(
    session: Session,
    *,
    config: Path | None = None,
    environment: str | None = None,
    policy: str = supply.AUTO,
    wrangler: str | None = None,
) -> Report:
    """Bring the toolchain, the bundle and the packages of a project's Python worker.

    Raises ProjectError if there is no Python worker in it.
    """
    worker = project.read(session.project, config, environment)
    if not worker.is_python:
        raise ProjectError(
            f"There is nothing to prefetch: main in {worker.config} is {worker.main}, "
            "which is not Python.",
            next_step="JavaScript workers need no bundle: pyodide-offline run -- wrangler dev",
        )
    needs_sync = (worker.config.parent / "pyproject.toml").is_file()
    found = chain.get(session, pywrangler=needs_sync, version=wrangler)
    supplied, folder = bundle(
        session, found.wrangler.workerd, worker.date, worker.flags, policy, lambda: found.node.npm
    )
    if needs_sync and found.pywrangler:
        sync.prepare(session, found, supplied.python_series)
    items = [_tool(session, program) for program in listing.listed(session, found)]
    return Report((*items, _bundle_item(session, supplied)), folder)


def for_binary(
    session: Session,
    binary: Path,
    *,
    date: str | None = None,
    flags: Sequence[str] = (),
    policy: str = supply.AUTO,
) -> Report:
    """Bring the bundle that a bare workerd binary needs, by default for its own date."""
    if date and not project.is_date(date):
        raise ProjectError(f"{date!r} is no date.", next_step="Write it as YYYY-MM-DD.")

    def npm() -> Sequence[str]:
        return nodes.provide(session, "*").npm

    supplied, folder = bundle(
        session, binary, date or own_date(binary), (PYTHON_FLAG, *flags), policy, npm
    )
    return Report((_bundle_item(session, supplied),), folder)


def bundle(
    session: Session,
    binary: Path,
    date: str,
    flags: Sequence[str],
    policy: str,
    npm: supply.Npm,
) -> tuple[Supplied, Path]:
    """Supply one bundle and place it where workerd reads it."""

    def supplier(date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        return supply.supply(session, binary, date, flags, policy=policy, npm=npm, renew=renew)

    supplied = supplier(date, flags)
    folder = placement.choose_folder(session, [supplied])
    placement.place(session, date, flags, supplied, folder, supplier)
    return supplied, folder


def own_date(binary: Path) -> str:
    """Return the date that a workerd tells as its version. Raises WorkerdError."""
    probe.check(binary)
    try:
        said = process.capture([binary, "--version"], timeout=10)
    except ToolchainError as error:
        raise WorkerdError(
            error.what, next_step="Name a workerd binary of this machine."
        ) from error
    found = re.search(r"\d{4}-\d{2}-\d{2}", said.stdout)
    if not found:
        raise WorkerdError(f"{binary} does not tell its version as workerd does.")
    return str(datetime.date.fromisoformat(found[0]))


def _bundle_item(session: Session, supplied: Supplied) -> Item:
    origin = "assembled from npm" if supplied.assembled else "official"
    version = f"{supplied.pyodide} (Python {supplied.python})"
    return Item(
        "Pyodide bundle", version, origin, supplied.entry.size, _made(session, supplied.entry)
    )


def _made(session: Session, entry: Entry) -> bool:
    return any(one.kind == entry.kind and one.name == entry.name for one in session.store.made)


def _tool(session: Session, program: listing.Program) -> Item:
    if program.entry is None:
        return Item(program.what, program.version, "your own", None, fetched=False)
    origin = str(program.entry.provenance.get("source", "the store"))
    made = _made(session, program.entry)
    return Item(program.what, program.version, origin, program.entry.size, fetched=made)
