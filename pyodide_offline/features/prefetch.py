"""Fill the store with all that a worker needs, and say what is there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyodide_offline.errors import (
    NetworkError,
    OfflineError,
    ProjectError,
    RegistryError,
    UnsupportedError,
)
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers import (
    advice,
    bring,
    placement,
    probe,
    project,
    pythons,
    supply,
)
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain, listing, sync
from pyodide_offline.workers.toolchain import node as nodes

PYTHON_FLAG = pythons.PYTHON_FLAG


@dataclass(frozen=True)
class Item:
    """One line of the answer; ``size`` in bytes, None where it is the user's own.

    ``path`` is where it lies.
    """

    what: str
    version: str
    origin: str
    size: int | None
    fetched: bool
    path: Path


@dataclass(frozen=True)
class Report:
    """What is now there, and whether anything had to be fetched for it.

    ``missing`` says of each bundle that could not be had why.
    """

    items: tuple[Item, ...]
    folder: Path
    missing: tuple[str, ...] = ()

    @property
    def fetched(self) -> bool:
        """Whether something was fetched or made."""
        return any(item.fetched for item in self.items)


@dataclass(frozen=True)
class More:
    """What is asked for beside the worker's own bundle.

    ``everything``: each bundle of the binary; ``source``: where official ones lie (see
    ``bring``); ``python``: the Python to run on instead of the date's.
    """

    everything: bool = False
    source: str | None = None
    python: str | None = None


def for_project(
    session: Session,
    *,
    config: Path | None = None,
    environment: str | None = None,
    policy: str = supply.AUTO,
    wrangler: str | None = None,
    more: More | None = None,
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
    needs_sync = project.is_packaged(worker)
    found = chain.get(session, pywrangler=needs_sync, version=wrangler)
    more, binary = more or More(), found.wrangler.workerd
    report, supplied = _bundles(
        session, binary, worker.date, worker.flags, policy, lambda: found.node.npm, more
    )
    if needs_sync and found.pywrangler:
        # pywrangler goes by the date, whatever Python the worker is run on.
        dated = supply.dated_series(session, binary, worker.date, worker.flags)
        sync.prepare(session, found, dated)
    for sentence in advice.of(session, binary, worker, supplied):
        session.progress.note(sentence)
    items = [_tool(session, program) for program in listing.listed(session, found)]
    return replace(report, items=(*items, *report.items))


def for_binary(
    session: Session,
    binary: Path,
    *,
    date: str | None = None,
    flags: Sequence[str] = (),
    policy: str = supply.AUTO,
    more: More | None = None,
) -> Report:
    """Bring the bundle that a bare workerd binary needs, by default for its own date."""
    if date and not project.is_date(date):
        raise ProjectError(f"{date!r} is no date.", next_step="Write it as YYYY-MM-DD.")

    def npm() -> Sequence[str]:
        return nodes.provide(session, "*").npm

    report, _ = _bundles(
        session,
        binary,
        date or pythons.own_date(binary),
        (PYTHON_FLAG, *flags),
        policy,
        npm,
        more or More(),
    )
    return report


def _bundles(
    session: Session,
    binary: Path,
    date: str,
    flags: Sequence[str],
    policy: str,
    npm: supply.Npm,
    more: More,
) -> tuple[Report, Supplied]:
    """Supply and place the worker's bundle, and what else was asked for."""
    brought: list[Supplied] = []
    offers = []
    if more.everything or more.source:
        offers = pythons.every(session.store, binary, pythons.own_date(binary))
    if more.source:
        wants = [*(offer.want for offer in offers), probe.want(session.store, binary, date, flags)]
        brought = bring.bring(session, more.source, list(dict.fromkeys(wants)))
        folder = placement.choose_folder(session, brought)
        for one in brought:
            session.store.place(one.entry, folder / one.file_name)
    supplied, folder = bundle(session, binary, date, flags, policy, npm, more.python)
    all_of_it, missing = [supplied, *brought], []
    for offer in offers if more.everything else ():
        try:
            one, _ = bundle(session, binary, offer.date, offer.flags, policy, npm)
        except (NetworkError, OfflineError, RegistryError, UnsupportedError) as error:
            missing.append(f"{offer.want.file_name}: {error}")
        else:
            all_of_it.append(one)
    different = {(one.file_name, one.entry.digest): one for one in all_of_it}
    items = tuple(_bundle_item(session, one) for one in different.values())
    return Report(items, folder, tuple(missing)), supplied


def bundle(
    session: Session,
    binary: Path,
    date: str,
    flags: Sequence[str],
    policy: str,
    npm: supply.Npm,
    python: str | None = None,
) -> tuple[Supplied, Path]:
    """Supply one bundle and place it where workerd reads it."""

    def supplier(date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        return supply.supply(
            session, binary, date, flags, policy=policy, npm=npm, renew=renew, python=python
        )

    supplied = supplier(date, flags)
    folder = placement.choose_folder(session, [supplied])
    placement.place(session, date, flags, supplied, folder, supplier)
    return supplied, folder


def _bundle_item(session: Session, supplied: Supplied) -> Item:
    origin = "assembled from npm" if supplied.assembled else "official"
    version = f"{supplied.pyodide} (Python {supplied.python})"
    entry = supplied.entry
    made = _made(session, entry)
    return Item("Pyodide bundle", version, origin, entry.size, made, entry.path)


def _made(session: Session, entry: Entry) -> bool:
    return any(one.kind == entry.kind and one.name == entry.name for one in session.store.made)


def _tool(session: Session, program: listing.Program) -> Item:
    if program.entry is None:
        return Item(program.what, program.version, "your own", None, False, program.path)
    origin = str(program.entry.provenance.get("source", "the store"))
    made = _made(session, program.entry)
    return Item(program.what, program.version, origin, program.entry.size, made, program.path)
