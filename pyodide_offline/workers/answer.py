"""What the shim has to tell workerd, decided from the configuration that miniflare sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import paths
from pyodide_offline.digest import Digest
from pyodide_offline.errors import ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.store import Store
from pyodide_offline.workers import (
    config,
    loading,
    placement,
    probe,
    schema,
    shim,
    snapshot,
    supply,
)
from pyodide_offline.workers.placement import Supplier
from pyodide_offline.workers.snapshot_maker import Job, Maker
from pyodide_offline.workers.supply import Supplied


@dataclass(frozen=True)
class Answer:
    """What to add to workerd's arguments, the configuration to give it, and what to say."""

    arguments: tuple[str, ...]
    message: bytes
    supplied: tuple[Supplied, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshots:
    """The binary that loads snapshots, and who makes missing ones (None: nobody)."""

    binary: Path
    maker: Maker | None = None


def answer(
    session: Session,
    description: Path,
    message: bytes,
    supplier: Supplier,
    snapshots: Snapshots | None = None,
    internet: config.Internet | None = None,
) -> Answer:
    """Supply and place the bundle of each Python worker, and add the flags that it needs.

    ``description`` is the schema of the message. Without ``snapshots`` none is loaded,
    without ``internet`` the workers' requests go out as they did.
    """
    supplied: dict[config.PythonWorker, Supplied] = {}

    def decide(worker: config.PythonWorker) -> tuple[str, ...]:
        supplied[worker] = supplier(worker.date, worker.flags)
        return supplied[worker].flags

    rewritten = config.rewrite(message, description, decide, internet)
    # Beside a Python worker's own bundle there is no room for a second of its name.
    settled = supplied or shim.MARK not in message
    loaded, notes = ({}, []) if settled else loading.supply(message, description, supplier)
    placed = {**supplied, **loaded}
    folder = placement.choose_folder(session, placed.values())
    for worker, one in placed.items():
        placement.place(session, worker.date, worker.flags, one, folder, supplier)
    different = {one.entry.digest: one for one in supplied.values()}
    arguments = list(placement.arguments(folder))
    if snapshots and len(different) == 1:
        (digest,) = different
        try:
            arguments += _snapshot(session, description, rewritten, digest, folder, snapshots)
        except Exception as error:
            # A snapshot may cost time, never a start, whatever is wrong with it.
            session.progress.note(f"No snapshot is used: {error} ({type(error).__name__})")
    return Answer(tuple(arguments), rewritten, tuple(different.values()), tuple(notes))


def _snapshot(
    session: Session,
    description: Path,
    message: bytes,
    bundle: Digest,
    folder: Path,
    snapshots: Snapshots,
) -> tuple[str, ...]:
    """Return the flags of the snapshot to load, if there is one; have better ones made."""
    code = config.only_code(message, description)
    if code is None:
        return ()
    binary = probe.identify(session.store, snapshots.binary)
    found = snapshot.find(session.store, snapshot.recipes(session.store, code, binary, bundle))
    if snapshots.maker:
        recipes = snapshot.recipes(session.store, code, binary, bundle)
        snapshots.maker.want(
            Job(snapshots.binary, description, folder, recipe)
            for recipe in snapshot.in_order_of_making(recipes)
        )
    if found is None:
        return ()
    recipe, entry = found
    snapshot.use(session.store, session.project, recipe)
    return snapshot.arguments(entry)


def alone(binary: str, message: bytes, environ: Mapping[str, str]) -> Answer:
    """Answer without a waiting ``run``, from the environment alone."""
    session = Session(
        store=Store(paths.store_dir(environ)),
        environ=environ,
        project=Path.cwd(),
        cache_dir=paths.bundle_cache_dir(environ),
        offline=environ.get("PYODIDE_OFFLINE_OFFLINE", "") not in ("", "0", "false"),
    )

    def supplier(date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        return supply.supply(
            session,
            Path(binary),
            date,
            flags,
            policy=environ.get(supply.POLICY_VARIABLE) or supply.AUTO,
            renew=renew,
            python=environ.get(supply.PYTHON_VARIABLE) or None,
        )

    found = schema.checked(session.store, schema_beside(Path(binary)))
    return answer(session, found, message, supplier, Snapshots(Path(binary)))


def schema_beside(binary: Path) -> Path:
    """Return ``workerd.capnp`` of the npm package that belongs to a binary.

    The binary is in ``@cloudflare/workerd-<platform>/bin``, the schema in ``workerd``,
    both in one node_modules (or, with pnpm, in one virtual one). Raises ToolchainError.
    """
    for above in binary.resolve().parents:
        if above.name == "node_modules":
            found = above / "workerd" / "workerd.capnp"
            if found.is_file():
                return found
    raise ToolchainError(
        f"{binary} has no workerd.capnp beside it, which its configuration is read with.",
        next_step="Install npm's workerd package next to it.",
    )
