"""The worker's packages from a kit, as ``pywrangler sync`` leaves a project.

Only where the project's files are those that the kit was made for, and nothing is there
that a user may have made. The tokens that say "in sync" are written last: a project that was
left half-way is begun anew.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from pyodide_offline import digest as digests
from pyodide_offline import disk, process
from pyodide_offline.errors import ToolchainError
from pyodide_offline.features.kit import natives
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.installing import Clash, Job
from pyodide_offline.kits.plan import Plan
from pyodide_offline.kits.rack import Rack
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import freshness, interpreter, sync
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.freshness import LOCKFILE, MODULES, TOKEN, VENV

# There as long as .venv-workers is being made.
_UNFINISHED = ".pyodide-offline-unfinished"
_BESIDE_PYODIDE = "pyodide_py-"
_INNER = "pyodide-venv"


def place(
    session: Session,
    toolchain: Toolchain,
    series: str,
    rack: Rack,
    crew: Crew,
    made_for: Mapping[str, str],
) -> bool:
    """Lay the packages out if the plan has them; say whether the project is in sync by it.

    ``made_for`` are the digests of the project's files when the kit was made. Raises
    IntegrityError and what writing raises.
    """
    fit, pywrangler = rack.plan(), toolchain.pywrangler
    folder = freshness.root(session.project)
    if fit is None or pywrangler is None or folder is None:
        return False
    plan, native = fit
    if plan.series != series or not rack.have(plan.inside):
        return False
    if not _unchanged(session.project, folder, made_for):
        return False
    with sync.only_one(session, folder):
        if not freshness.needed(folder, pywrangler.version) or not _free(folder / VENV):
            return False
        own = natives.find(session, series)
        beside = native.beside
        if own is None:
            # pywrangler has uv resolve for Pyodide here, which finds the same ones.
            more = (one for one in beside if one.startswith(_BESIDE_PYODIDE))
            beside = (*plan.inside, *more)
        if not rack.have(beside):
            return False
        wheels = _Wheels(rack, series, plan.inside, beside, plan.pure, () if own else plan.pure)
        with working(session.progress, "Packages of the worker"), disk.guarded(folder):
            try:
                _lay_out(session, toolchain, folder, wheels, crew, own)
            except Clash:  # for uv to say which holds
                disk.remove(folder / VENV)
                return False
            _finish(folder, series, pywrangler.version)
    return True


@dataclass(frozen=True)
class _Wheels:
    """The wheels inside python_modules and beside it; of ``pure`` ones nothing compiled."""

    rack: Rack
    series: str
    inside: Sequence[str]
    beside: Sequence[str]
    pure_inside: Sequence[str]
    pure_beside: Sequence[str]

    def jobs(self, workers: Path, inner: Path) -> list[Job]:
        return [
            *self._jobs(self.inside, self.pure_inside, inner),
            *self._jobs(self.beside, self.pure_beside, workers),
        ]

    def _jobs(self, names: Sequence[str], pure: Sequence[str], environment: Path) -> list[Job]:
        target = _packages(environment, self.series)
        whole = [name for name in names if name not in pure]
        stripped = [name for name in names if name in pure]
        return [
            *self.rack.wheels(whole, target, environment=environment),
            *self.rack.wheels(stripped, target, environment=environment, pure=True),
        ]


def _lay_out(
    session: Session,
    toolchain: Toolchain,
    folder: Path,
    wheels: _Wheels,
    crew: Crew,
    own: Path | None,
) -> None:
    """Make both environments with what is in them; ``own`` is a native Python."""
    made = interpreter.provide(session, wheels.series, toolchain.node.npm)
    shown = interpreter.publish(session, made, toolchain.node.executable)
    python = shown / made.name / "python"
    workers = folder / VENV
    inner = workers / _INNER
    disk.remove(workers)
    workers.mkdir()
    (workers / _UNFINISHED).touch()
    _environment(inner, python, made.python)
    if own is None:
        _environment(workers, python, made.python)
    else:
        _native_environment(workers, own)
    crew.install(wheels.jobs(workers, inner))


def _finish(folder: Path, series: str, version: str) -> None:
    """Copy one of them to python_modules, as pywrangler does, and say that all is in sync."""
    workers = folder / VENV
    _vendor(folder, series, version)
    (workers / TOKEN).write_text(version)
    (workers / _UNFINISHED).unlink()


def _vendor(folder: Path, series: str, version: str) -> None:
    modules = folder / MODULES
    disk.remove(modules)
    shutil.copytree(_packages(folder / VENV / _INNER, series), modules)
    (modules / "pyvenv.cfg").touch()
    (modules / TOKEN).write_text(version)


def vendored(rack: Rack, crew: Crew, plan: Plan, version: str, folder: Path) -> None:
    """Make ``folder``'s python_modules as ``place`` leaves one, byte for byte, and no more.

    ``version`` is pywrangler's. Raises Clash, and what ``Crew.install`` raises.
    """
    inner = folder / VENV / _INNER
    wheels = _Wheels(rack, plan.series, plan.inside, (), plan.pure, ())
    crew.install(wheels.jobs(folder / VENV, inner))
    _vendor(folder, plan.series, version)


def _unchanged(project: Path, folder: Path, made_for: Mapping[str, str]) -> bool:
    """Say whether what pywrangler reads is what the kit was made for."""
    if folder != project.resolve():
        return False
    for name in ("pyproject.toml", LOCKFILE):
        file = folder / name
        now = str(digests.of_file(file)) if file.is_file() else None
        if now != made_for.get(name):
            return False
    return True


def _free(environment: Path) -> bool:
    """Say whether an environment may be made anew: there is none, or one half made here."""
    return not os.path.lexists(environment) or (environment / _UNFINISHED).exists()


def _native_environment(folder: Path, python: Path) -> None:
    done = process.capture([python, "-I", "-m", "venv", "--without-pip", folder])
    if done.status != 0:
        raise ToolchainError(
            f"{python} cannot make {folder}.", why=process.tail(done.stderr or done.stdout, 2)
        )


def _environment(folder: Path, python: Path, version: str) -> None:
    """Make the environment of a Pyodide interpreter, as uv makes it."""
    series = ".".join(version.split(".")[:2])
    scripts = folder / "bin"
    scripts.mkdir(parents=True)
    _packages(folder, series).mkdir(parents=True)
    (folder / ".gitignore").write_text("*")
    (scripts / "python").symlink_to(python)
    for name in ("python3", f"python{series}"):
        (scripts / name).symlink_to("python")
    _activation(folder, scripts)
    (folder / "pyvenv.cfg").write_text(
        f"home = {python.parent}\n"
        "implementation = CPython\n"
        f"version_info = {version}\n"
        "include-system-site-packages = false\n"
    )


def _activation(folder: Path, scripts: Path) -> None:
    """Write the scripts that activate an environment: this Python's own, for another one."""
    import venv

    context = SimpleNamespace(
        env_dir=str(folder),
        env_name=folder.name,
        prompt=f"({folder.name}) ",
        executable=sys.executable,
        bin_name="bin",
        bin_path=str(scripts),
        env_exe=str(scripts / "python"),
        env_exec_cmd=str(scripts / "python"),
    )
    with suppress(AttributeError):  # scripts of a later Python may ask for more: none, then
        venv.EnvBuilder().setup_scripts(context)


def _packages(environment: Path, series: str) -> Path:
    return environment / "lib" / f"python{series}" / "site-packages"
