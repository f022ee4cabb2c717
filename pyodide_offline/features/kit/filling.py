"""A kit's archives → the store, as `run` finds things there. Nothing is asked of a network.

The same code installs as where registries answer; only, the registry is the kit
(``loopback``). What is in the store already is not made again.
"""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyodide_offline import digest as digests
from pyodide_offline.errors import StorageError, UnsupportedError
from pyodide_offline.features.kit import (
    addresses,
    loopback,
    memory,
    natives,
    placing,
    syncing,
    trees,
)
from pyodide_offline.features.kit.authority import Authority
from pyodide_offline.features.kit.loopback import Served
from pyodide_offline.features.kit.shelf import Shelf
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.rack import Rack
from pyodide_offline.network import cafile
from pyodide_offline.network.trust import Source
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers import project, supply
from pyodide_offline.workers.toolchain import chain, sync, wrangler


@dataclass(frozen=True)
class Contents:
    """What a kit brings: its items, where each lies (by hex digest), and for which project.

    ``project`` has the digests of the project's files that the kit was made for.
    """

    items: tuple[Item, ...]
    places: Mapping[str, Path]
    project: Mapping[str, str] = field(default_factory=dict)


def unpacked(session: Session) -> Contents:
    """Return the contents of the kit that was unpacked last. Raises StorageError if none was."""
    from pyodide_offline.kits import unpacking

    found = unpacking.current(session.store.root / LAYOUT / "kits")
    if found is None:
        raise StorageError(
            "No kit was unpacked here.",
            next_step="Type: pyodide-offline kit unpack FILE",
        )
    items = tuple(item for item in found.manifest.items if item.sha256 in found.places)
    return Contents(items, found.places, found.manifest.project)


def serving(session: Session, contents: Contents) -> AbstractContextManager[Served]:
    """Answer for all registries and indexes from the kit while the block runs."""
    found = addresses.of(session.project, contents.items)
    shelf = Shelf(contents.items, contents.places, found)
    return loopback.serving(shelf, Authority(session.store.root / LAYOUT))


def session_for(session: Session, served: Served) -> Session:
    """Return the session whose programs and downloads reach the kit and nothing else."""
    environ = loopback.environment(session.environ, served.origin)
    environ = cafile.environment(
        session.store, environ, session.progress.note, [Source(served.trusted)]
    )
    return dataclasses.replace(session, environ=environ, offline=False, proxies=(), pac="")


def fill(session: Session, contents: Contents) -> str | None:
    """Bring what the project's worker needs into the store; return the wrangler to run.

    None means the project's own, or the one that is managed anyway. ``session`` is
    ``session_for``'s. Raises UnsupportedError for a kit of folders only, and what bringing
    raises.
    """
    if contents.items and all(item.kind == trees.KIND for item in contents.items):
        names = ", ".join(item.name for item in contents.items)
        raise UnsupportedError(
            f"This kit has no programs, so nothing can be run from it: it holds {names}.",
            next_step="For the folder type: pyodide-offline kit browser -o DIR",
        )
    with Crew() as crew:
        return _fill(session, contents, crew)


def _fill(session: Session, contents: Contents, crew: Crew) -> str | None:
    items, places = contents.items, contents.places
    for item in items:
        if item.kind == "bundle" and item.sha256 in places:
            _bundle(session, item, places[item.sha256])
    version = _wrangler(session, items)
    rack = Rack(items, places)
    with ThreadPoolExecutor(1) as beside:
        remembered = beside.submit(memory.unpack, session, items, places)
        placing.place(session, rack, crew, version, syncs=_syncs(session))
        remembered.result()
    if project.find_config(session.project) is None:
        chain.get(session, pywrangler=True, version=version)
        return version
    worker = project.read(session.project)
    syncs = (worker.config.parent / "pyproject.toml").is_file()
    found = chain.get(session, pywrangler=syncs, version=version)
    if not worker.is_python:
        return version
    binary = found.wrangler.workerd
    official = any(item.kind == "bundle" for item in items)
    policy = supply.AUTO if official else supply.NPM
    supply.supply(
        session, binary, worker.date, worker.flags, policy=policy, npm=lambda: found.node.npm
    )
    if syncs:
        series = supply.dated_series(session, binary, worker.date, worker.flags)
        if found.pywrangler is not None:
            natives.place(session, found.pywrangler.uv, items, places, series)
        syncing.place(session, found, series, rack, crew, contents.project)
        sync.prepare(session, found, series, reachable=lambda: False)
    return version


def _syncs(session: Session) -> bool:
    config = project.find_config(session.project)
    return config is None or (config.parent / "pyproject.toml").is_file()


def _wrangler(session: Session, items: Sequence[Item]) -> str | None:
    """Return the kit's version of wrangler where neither project nor default is that."""
    here = session.project.resolve()
    if any((one / "node_modules" / "wrangler").is_dir() for one in (here, *here.parents)):
        return None
    versions = [item.version for item in items if (item.kind, item.name) == ("npm", "wrangler")]
    if not versions or wrangler.DEFAULT_VERSION in versions:
        return None
    return versions[0]


def _bundle(session: Session, item: Item, place: Path) -> None:
    def produce(target: Path) -> Mapping[str, Any]:
        shutil.copyfile(place, target)
        return {
            "source": supply.OFFICIAL,
            "from": "a kit",
            "pyodide": item.version,
            "digest": f"sha256:{item.sha256}",
        }

    expected = digests.Digest("sha256", bytes.fromhex(item.sha256))
    session.store.fill(supply.KIND, item.name, produce, expected=expected)
