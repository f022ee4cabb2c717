"""The folder that workerd reads: which one, and the right bundle in it at every start."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pyodide_offline import digest as digests
from pyodide_offline import paths
from pyodide_offline.errors import IntegrityError, UnsupportedError
from pyodide_offline.session import Session
from pyodide_offline.workers import shim
from pyodide_offline.workers.packages import PACKAGES_FLAG, fill_packages
from pyodide_offline.workers.supply import Supplied

_PACKAGES = "packages"


class Supplier(Protocol):
    """Gets a worker's bundle into the store; ``renew`` makes a damaged one again."""

    def __call__(self, date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        """Return the bundle for a worker of this date and flags."""


def choose_folder(session: Session, supplied: Iterable[Supplied]) -> Path:
    """Return the one folder that workerd gets for all its workers.

    An assembled bundle has a folder of its own: it has the file name of all others for
    development, or of the official one, and two projects may run different ones at once.
    So has one that needs empty packages beside it, which are not for all.
    Raises UnsupportedError where workers of one process need two of one name.
    """
    folder = paths.private_dir(session.cache_dir)
    apart = {one.entry.digest: one for one in supplied if one.assembled or one.archives}
    if len({one.file_name for one in apart.values()}) < len(apart):
        raise UnsupportedError(
            "Workers of one wrangler need different Pythons, each from an assembled bundle.",
            why=" / ".join(one.sentence() for one in apart.values()),
            next_step="Start them apart, or give them compatibility dates of one Python.",
        )
    if apart:
        digest, *more = sorted(apart, key=str)
        if more:
            digest = digests.of_bytes(" ".join(map(str, [digest, *more])).encode())
        folder = paths.private_dir(folder / f"dev-{digest.short}")
    return folder


def arguments(folder: Path) -> tuple[str, ...]:
    """Return what workerd must be told so that it reads the folder."""
    packages = folder / _PACKAGES
    more = (f"{PACKAGES_FLAG}{packages}",) if packages.is_dir() else ()
    return (f"{shim.FLAG}{folder}", *more)


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
    if supplied.archives:
        fill_packages(folder / _PACKAGES, supplied.archives)
    try:
        session.store.place(supplied.entry, target)
    except (IntegrityError, FileNotFoundError):
        session.progress.note(f"{supplied.entry.name} in the store was damaged: making it again")
        session.store.place(supplier(date, flags, renew=True).entry, target)
    return target
