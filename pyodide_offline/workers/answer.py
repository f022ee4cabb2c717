"""What the shim has to tell workerd, decided from the configuration that miniflare sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pyodide_offline import paths
from pyodide_offline.errors import IntegrityError, ToolchainError, UnsupportedError
from pyodide_offline.session import Session
from pyodide_offline.store import Store
from pyodide_offline.workers import config, supply
from pyodide_offline.workers.supply import Supplied


@dataclass(frozen=True)
class Answer:
    """The cache folder to name to workerd, and the configuration to give it."""

    folder: str
    message: bytes
    supplied: tuple[Supplied, ...] = ()


class Supplier(Protocol):
    """Gets a worker's bundle into the store; ``renew`` makes a damaged one again."""

    def __call__(self, date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        """Return the bundle for a worker of this date and flags."""


def answer(session: Session, schema: Path, message: bytes, supplier: Supplier) -> Answer:
    """Supply and place the bundle of each Python worker, and add the flags that it needs."""
    supplied: dict[config.PythonWorker, Supplied] = {}

    def decide(worker: config.PythonWorker) -> tuple[str, ...]:
        supplied[worker] = supplier(worker.date, worker.flags)
        return supplied[worker].flags

    rewritten = config.rewrite(message, schema, decide)
    folder = choose_folder(session, supplied.values())
    for worker, one in supplied.items():
        place(session, worker.date, worker.flags, one, folder, supplier)
    return Answer(str(folder), rewritten, tuple(dict.fromkeys(supplied.values())))


def choose_folder(session: Session, supplied: Iterable[Supplied]) -> Path:
    """Return the one folder that workerd gets for all its workers.

    An assembled bundle has a folder of its own, since all of them have the same file name
    and two projects may run different ones at once. Raises UnsupportedError where workers
    of one process need two of them.
    """
    folder = paths.private_dir(session.cache_dir)
    assembled = {one.entry.digest: one for one in supplied if one.assembled}
    if len(assembled) > 1:
        raise UnsupportedError(
            "Workers of one wrangler need different Pythons, each from an assembled bundle.",
            why=" / ".join(one.sentence() for one in assembled.values()),
            next_step="Start them apart, or give them compatibility dates of one Python.",
        )
    if assembled:
        folder = paths.private_dir(folder / f"dev-{next(iter(assembled)).short}")
    return folder


def place(
    session: Session,
    date: str,
    flags: Sequence[str],
    supplied: Supplied,
    folder: Path,
    supplier: Supplier,
) -> Path:
    """Put a bundle into the folder; where the store's own copy is damaged, renew that first."""
    target = folder / supplied.file_name
    try:
        session.store.place(supplied.entry, target)
    except (IntegrityError, FileNotFoundError):
        session.progress.note(f"{supplied.entry.name} in the store was damaged: making it again")
        session.store.place(supplier(date, flags, renew=True).entry, target)
    return target


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
        return supply.supply(session, Path(binary), date, flags, renew=renew)

    return answer(session, schema_beside(Path(binary)), message, supplier)


def schema_beside(binary: Path) -> Path:
    """Return ``workerd.capnp`` of the npm package that belongs to a binary.

    The binary is in ``@cloudflare/workerd-<platform>/bin``, the schema in ``workerd``,
    both in one node_modules (or, with pnpm, in one virtual one). Raises ToolchainError.
    """
    for above in binary.resolve().parents:
        if above.name == "node_modules":
            schema = above / "workerd" / "workerd.capnp"
            if schema.is_file():
                return schema
    raise ToolchainError(
        f"{binary} has no workerd.capnp beside it, which its configuration is read with.",
        next_step="Install npm's workerd package next to it.",
    )
