"""The worker's own packages: wheels for Pyodide and for the environment beside it.

pywrangler resolves a project twice: for the Pyodide that runs it, and for ``.venv-workers``,
which editors and tests read. Both find their wheels in the kit.
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from pyodide_offline.distribution import pythonlock
from pyodide_offline.distribution.pythonlock import Locked, Wheel
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.kit import archives, locks, planning, targets
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.targets import Target
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import fallback, interpreter, pip, uv
from pyodide_offline.workers.toolchain.chain import Toolchain

_SDK = "workers-runtime-sdk"
# What pywrangler puts into .venv-workers beside the project's packages.
_BESIDE = ("pyodide-py", _SDK)
# The one platform that fallback wheels are made from, whatever the target.
_MOTHER = "linux-x64"


def environment(session: Session, tools: Toolchain, series: str | None = None) -> dict[str, str]:
    """Return uv's environment for resolving; with ``series`` it knows that Pyodide, too."""
    pythons = interpreter.pythons(session)
    if series is not None:
        found = interpreter.provide(session, series, tools.node.npm)
        pythons = interpreter.publish(session, found, tools.node.executable)
    told = pip.configuration(session)
    environ = uv.clean(tools.environment(session.environ, uv.settings(session, pythons, told)))
    environ[interpreter.NODE_VARIABLE] = str(tools.node.executable)
    if not session.offline:
        del environ["UV_OFFLINE"]
        environ.update(uv.trust(session, told))
    return environ


def wheels(
    session: Session,
    pins: locks.Pins,
    tools: Toolchain,
    series: str,
    wanted: Sequence[Target],
    python: str,
) -> Iterator[Archive]:
    """Yield the wheels of the project's packages. Raises ProjectError where one has none.

    ``series`` is the worker's Python; a lock's packages come for the targets' own, too, which
    is ``python``: `uv sync` may take either.
    """
    assert tools.pywrangler is not None  # noqa: S101 - pack has asked for it
    program = tools.pywrangler.uv
    requirements = dependencies(session.project / "pyproject.toml")
    environ = cache(lambda: environment(session, tools, series))
    request = interpreter.provide(session, series, tools.node.npm).request
    lock = locks.python_lock(session.project)
    # pywrangler goes by its own pylock.toml, and by no other lock.
    followed = lock is not None and lock.name == locks.PYTHON_LOCKS[0]
    if lock is not None:
        for package in pythonlock.read(lock.read_text(encoding="utf-8"), str(lock)):
            # uv.lock names packages of development too, of which some are native only.
            for one in _inside(session, pins, package, series, strict=False):
                installed = followed and planning.needed(package.marker, series)
                yield one.having(planning.INSIDE) if installed else one
            for version in dict.fromkeys((series, python)):
                yield from _beside(session, package, version, wanted)
    if not followed:
        found = _resolved(pins, program, environ, [*requirements, _SDK], request, session, series)
        for package in found:
            for one in _inside(session, pins, package, series, strict=True):
                yield one.having(planning.INSIDE)
    for target in wanted:
        packages = locks.wheels(
            pins,
            program,
            environ,
            [*requirements, *_BESIDE],
            series,
            what=f"the worker's packages for Python {series} on {target.name}",
            target=target,
        )
        for package in packages:
            for one in _beside(session, package, series, [target]):
                yield one.having(planning.beside(target.name))


def dependencies(file: Path) -> list[str]:
    """Return what a pyproject.toml says that the worker needs. Raises ProjectError."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        return [str(one) for one in table.get("project", {}).get("dependencies", [])]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ProjectError(f"{file} cannot be read.", why=f"{error}.") from error


def _resolved(
    pins: locks.Pins,
    program: Path,
    environ: Callable[[], dict[str, str]],
    requirements: Sequence[str],
    request: str,
    session: Session,
    series: str,
) -> tuple[Locked, ...]:
    what = f"the worker's packages for Pyodide with Python {series}"
    try:
        return locks.wheels(pins, program, environ, requirements, request, what=what)
    except ProjectError as error:
        if not any(name in error.what for name in fallback.PACKAGES):
            raise
        links = fallback.provide(session, program, environ(), series)
        linked = {**environ(), **links}
        return locks.wheels(pins, program, lambda: linked, requirements, request, what=what)


def _inside(
    session: Session, pins: locks.Pins, package: Locked, series: str, *, strict: bool
) -> Iterator[Archive]:
    """Yield the wheel that goes into python_modules."""
    wheel = pythonlock.choose(package.wheels, targets.pyodide_tags(series, package.wheels))
    if wheel is not None and wheel.digest is not None and wheel.url:
        yield archives.wheel(session, wheel, ())
    elif package.name in fallback.PACKAGES:
        yield from _mother(session, pins, package.name, series)
    elif strict:
        raise ProjectError(
            f"{package.name} {package.version} has no wheel for Python Workers.",
            why="A wheel must be pure Python or made for Pyodide.",
            next_step="Take it out of the dependencies, or name an index that has one.",
        )


def _mother(session: Session, pins: locks.Pins, name: str, series: str) -> Iterator[Archive]:
    """Yield the native wheel that a pure one is made of where the kit is used."""
    from pyodide_offline.workers.toolchain import chain

    tools = chain.get(session, pywrangler=True)
    assert tools.pywrangler is not None  # noqa: S101 - asked for
    target = targets.named(_MOTHER)
    packages = locks.wheels(
        pins,
        tools.pywrangler.uv,
        lambda: environment(session, tools),
        [name],
        series,
        what=f"{name}, to make a pure wheel of",
        target=target,
    )
    for package in packages:
        if wheel := pythonlock.choose(package.wheels, target.tags(series)):
            yield archives.wheel(session, wheel, ()).having(planning.PURE)


def _beside(
    session: Session, package: Locked, series: str, wanted: Sequence[Target]
) -> Iterator[Archive]:
    """Yield the wheel that goes into .venv-workers where it has a native Python."""
    for target in wanted:
        wheel: Wheel | None = pythonlock.choose(package.wheels, target.tags(series))
        if wheel is not None and wheel.url:
            pure = wheel.file.endswith("-none-any.whl")
            yield archives.wheel(session, wheel, () if pure else (target.name,))
