"""What an operator does with a mirror's content: fill it by locks, take in and give out kits.

Each opens a front of its own, as a server would, and closes it again; a server on the same
store may go on meanwhile.
"""

import asyncio
import io
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging import tags

from pyodide_offline.distribution.npmlock import Platform
from pyodide_offline.errors import ProjectError, StorageError
from pyodide_offline.features.mirror import asking, kits, locked, sync, workerds
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.kits import Came
from pyodide_offline.features.mirror.locked import Fit, Want
from pyodide_offline.features.mirror.serve import Settings, front
from pyodide_offline.features.mirror.sync import Asking, Report
from pyodide_offline.kits import starting, unpacking, writing
from pyodide_offline.kits.manifest import Manifest, timestamp
from pyodide_offline.kits.places import trust_file
from pyodide_offline.network import trust
from pyodide_offline.network.mirrored import Mirror
from pyodide_offline.session import Session

if TYPE_CHECKING:
    from pyodide_offline.kits.signing import SecretKey
    from pyodide_offline.kits.trust import Terms

Heard = Callable[[str], None]
_CPUS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}


class _Nobody(io.StringIO):
    """Where a server's log goes when it is a command that runs: its user hears the outcome."""

    def write(self, text: str) -> int:
        return len(text)


def here() -> Fit:
    """Return what suits this machine."""
    machine = platform.machine().lower()
    libc = {"glibc": "glibc", "": "musl"}.get(platform.libc_ver()[0], "")
    npm = Platform(
        sys.platform, _CPUS.get(machine, machine), libc if sys.platform == "linux" else ""
    )
    return Fit(npm, frozenset(tags.platform_tags()))


def wants(locks: Sequence[Path], fit: Fit) -> list[Want]:
    """Return what lock files name, each package once. Raises ProjectError."""
    found: list[Want] = []
    for lock in locks:
        try:
            text = lock.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"{lock} cannot be read: {error}.") from error
        found += locked.read(str(lock), text, fit)
    return locked.together(found)


def fill(
    session: Session,
    into: Settings | Mirror,
    wanted: Sequence[Want],
    fit: Fit,
    heard: Heard,
    *,
    bundles: bool = True,
) -> Report:
    """Fill a mirror here, by its settings, or one that runs elsewhere.

    ``bundles``: those too that a workerd among ``wanted`` asks for. Raises what opening the
    store raises; what cannot be had is in the report.
    """

    async def there(mirror: Mirror) -> Report:
        context = trust.context(session.environ, note=session.progress.note)
        async with asking.elsewhere(mirror, context) as ask:
            return await _filled(session, ask, wanted, fit, heard, bundles)

    async def inside(settings: Settings) -> Report:
        async with front(session, settings, Events(_Nobody())) as made:
            report = await _filled(session, asking.inside(made.app), wanted, fit, heard, bundles)
            await made.pull.idle()
            return report

    return asyncio.run(there(into) if isinstance(into, Mirror) else inside(into))


async def _filled(
    session: Session,
    ask: Asking,
    wanted: Sequence[Want],
    fit: Fit,
    heard: Heard,
    bundles: bool,
) -> Report:
    report = await sync.fill(ask, wanted, (), fit, heard)
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as folder:
        for number, want in enumerate(workerds.among(wanted) if bundles else ()):
            if any(fault.startswith(f"{want.name} {want.version}:") for fault in report.faults):
                continue
            tarball = Path(folder) / f"workerd-{number}.tgz"
            await sync.save(ask, want, tarball)
            offered = await asyncio.to_thread(workerds.bundles, session.store, tarball)
            more = await sync.fill(ask, (), offered, fit, heard)
            report.files += more.files
            report.size += more.size
            report.faults += more.faults
            tarball.unlink()
    return report


def take(session: Session, settings: Settings, files: Sequence[Path], terms: "Terms") -> Came:
    """Take in a kit, verified and trusted as `kit unpack` has it.

    Raises IntegrityError with all faults, PinChangedError, StorageError, DepotDownError.
    """
    settings.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-", dir=settings.cache) as folder:
        done = unpacking.unpack(files, Path(folder), trust_file(session.environ), terms)
        if done.generation is None:
            raise starting.refused(done.faults)
        items = done.generation.manifest.items
        places = {one.sha256: done.generation.path(one) for one in items}

        async def bring() -> Came:
            async with front(session, settings, Events(_Nobody())) as made:
                return await kits.bring(made.pull, made.ledger.admit, items, places)

        return asyncio.run(bring())


def give(
    session: Session,
    settings: Settings,
    target: Path,
    *,
    name: str,
    serial: int,
    keys: Sequence["SecretKey"] = (),
    only: Sequence[Want] | None = None,
) -> Manifest:
    """Write a kit of what the mirror holds, or of what ``only`` names of it.

    Raises ProjectError where it does not hold all of that, IntegrityError, StorageError,
    DepotDownError.
    """

    async def write() -> Manifest:
        async with front(session, settings, Events(_Nobody())) as made:
            items, places = [], {}
            for ref in await kits.held(made.depot, kits.KINDS):
                one = kits.item(ref)
                if one is None or not _named(one.kind, one.name, one.version, only):
                    continue
                found = await made.pull.known(ref.kind, ref.name)
                if found is None:
                    raise StorageError(
                        f"The mirror has lost {ref.name}.",
                        next_step="Type: pyodide-offline mirror audit",
                    )
                items.append(one)
                places[one.sha256] = found.path
            _refuse_missing(only, {(one.kind, one.name, one.version) for one in items})
            manifest = Manifest(name, serial, tuple(items), created=timestamp(0))
            return await asyncio.to_thread(
                lambda: writing.write(target, manifest, places, keys=keys)
            )

    return asyncio.run(write())


def _named(kind: str, name: str, version: str, only: Sequence[Want] | None) -> bool:
    if only is None or kind == "bundle":
        return True
    of = locked.NPM if kind == "npm" else locked.PYTHON
    return any((one.kind, one.name, one.version) == (of, name, version) for one in only)


def _refuse_missing(only: Sequence[Want] | None, there: set[tuple[str, str, str]]) -> None:
    known = {(locked.NPM if kind == "npm" else locked.PYTHON, *rest) for kind, *rest in there}
    gone = [one for one in only or () if (one.kind, one.name, one.version) not in known]
    if gone:
        raise ProjectError(
            f"The mirror does not hold {len(gone)} of what the locks name: "
            f"{gone[0].name} {gone[0].version}.",
            next_step="Fill it first: pyodide-offline mirror sync LOCK",
        )
