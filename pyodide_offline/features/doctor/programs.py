"""The programs between a command line and a running worker: here, fit, startable?

What is missing is no fault where `run` brings it. It is one where a program is here and in
the way: broken, incomplete, too old for those who start it without `run`.
"""

import sys
from contextlib import suppress
from typing import Any

from pyodide_offline import process
from pyodide_offline.errors import (
    ProjectError,
    PyodideOfflineError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.features.doctor import project
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.workers import project as projects
from pyodide_offline.workers.toolchain import freshness, interpreter, programs, semver
from pyodide_offline.workers.toolchain import node as nodes
from pyodide_offline.workers.toolchain import pywrangler as pywranglers
from pyodide_offline.workers.toolchain import wrangler as wranglers
from pyodide_offline.workers.toolchain.wrangler import Wrangler

_BROUGHT = "`run` brings one from the registries"
# Packages that start miniflare by themselves, without wrangler's command line.
_CALLERS = {
    "@cloudflare/vite-plugin": "the Vite plugin",
    "@cloudflare/vitest-pool-workers": "the vitest pool",
}


def python(observed: Observed) -> Finding:
    """Say which Python this is, and whether it can install what is missing."""
    version = ".".join(map(str, sys.version_info[:3]))
    here: dict[str, Any] = {"version": version, "path": sys.executable}
    pip = process.capture([sys.executable, "-m", "pip", "--version"], timeout=5)
    if pip.status == 0:
        return passed(f"Python {version}, with pip.", **here)
    if uv := programs.which("uv", observed.environ):
        return passed(f"Python {version}, without pip, but with uv.", **here, uv=str(uv))
    return warned(
        f"Python {version} has no pip, and there is no uv: Node and pywrangler cannot be brought.",
        fix=f"{sys.executable} -m ensurepip",
        **here,
    )


def wrangler(observed: Observed) -> Finding:
    """Find wrangler, in the project or the store, whole."""
    found = project.wrangler(observed)
    if found is None:
        return skipped(f"The project has no wrangler: {_BROUGHT} ({wranglers.DEFAULT_VERSION}).")
    whose = "in the store" if found.managed else "the project's own"
    return passed(
        f"wrangler {found.version}, {whose}.",
        version=found.version,
        path=str(found.package),
        node_wanted=found.node_range,
    )


def broken_wrangler(observed: Observed) -> Finding:
    """Do the same; one that is not complete is a fault of the installation."""
    try:
        return wrangler(observed)
    except ToolchainError as error:
        fix = "npm install"
        return failed(error.what, error.why, fix, blame="toolchain")
    except UnsupportedError as error:
        return failed(error.what, error.why, error.next_step, blame="toolchain")


def _whole_wrangler(observed: Observed) -> Wrangler | None:
    """Return the wrangler; None too where it is broken, which is another check's matter."""
    with suppress(PyodideOfflineError):
        return project.wrangler(observed)
    return None


def node(observed: Observed) -> Finding:
    """Compare Node's version with what the wrangler at hand wants."""
    program = programs.which("node", observed.environ)
    if program is None:
        return skipped(f"There is no Node.js on PATH: {_BROUGHT}.")
    found = _whole_wrangler(observed)
    wanted = found.node_range if found else "*"
    version = programs.version(observed.session, program)
    evidence: dict[str, Any] = {"version": version, "path": str(program), "wanted": wanted}
    if version is None:
        return warned(
            f"{program} does not tell its version: {_BROUGHT} in its place.",
            "It does not start, or is no Node.js.",
            "pyodide-offline toolchain install",
            repair="toolchain",
            **evidence,
        )
    fit = nodes.find(observed.session, wanted)
    if fit is not None and fit.executable != program:
        return passed(f"Node.js {fit.version}, in the store; on PATH is {version}.", **evidence)
    if found and not semver.satisfies(version, wanted):
        return warned(
            f"Node.js {version} does not fit: wrangler {found.version} wants {wanted}.",
            "`run` brings another one; wrangler started without it ends at once.",
            "pyodide-offline toolchain install",
            repair="toolchain",
            **evidence,
        )
    return passed(f"Node.js {version}.", **evidence)


def npx(observed: Observed) -> Finding:
    """Say what `npx wrangler`, which pywrangler types, would do."""
    program = programs.which("npx", observed.environ)
    if program is None:
        return skipped(f"There is no npx on PATH: {_BROUGHT}, with Node.js.")
    evidence: dict[str, Any] = {"path": str(program)}
    found = _whole_wrangler(observed)
    if found is not None and not found.managed:
        return passed("npx finds the project's own wrangler.", **evidence)
    registry = observed.found.get("registry.npm")
    if registry is not None and registry.bad:
        return warned(
            "npx finds no wrangler in the project, and would wait over a minute for a registry.",
            "pywrangler starts it so, and says nothing meanwhile. `run` answers npx itself.",
            "pyodide-offline run -- pywrangler dev",
            **evidence,
        )
    return passed("npx would get wrangler from the registry.", **evidence)


def uv(observed: Observed) -> Finding:
    """Find the uv that pywrangler would call."""
    program = programs.which("uv", observed.environ)
    if program is None:
        return skipped(f"There is no uv on PATH: {_BROUGHT}.")
    version = programs.version(observed.session, program)
    evidence: dict[str, Any] = {"version": version, "path": str(program)}
    if version is None:
        return warned(
            f"{program} does not tell its version: {_BROUGHT} in its place.",
            "It does not start.",
            **evidence,
        )
    return passed(f"uv {version}.", **evidence)


def pywrangler(observed: Observed) -> Finding:
    """Find pywrangler with a uv that is new enough for it."""
    root = freshness.root(observed.project)
    if root is None:
        return skipped("There is no pyproject.toml, so no need of pywrangler.")
    try:
        projects.parse(root / "pyproject.toml")
    except ProjectError as error:
        return failed(error.what, error.why, error.next_step, blame="toolchain")
    found = pywranglers.find(observed.session)
    own = programs.which("pywrangler", observed.environ)
    if found is None:
        return skipped(f"There is no pywrangler with a fit uv: {_BROUGHT}.")
    evidence: dict[str, Any] = {
        "version": found.version,
        "path": str(found.executable),
        "uv": str(found.uv),
    }
    if own is not None and found.managed:
        return warned(
            f"{own} is not fit, or its uv is too old: {_BROUGHT} in its place.",
            "Started without `run` it would refuse to work.",
            "pip install --upgrade workers-py uv",
            **evidence,
        )
    return passed(f"pywrangler {found.version}.", **evidence)


def pythons(observed: Observed) -> Finding:
    """Say which Pythons pywrangler's sync would find for this worker's packages."""
    if freshness.root(observed.project) is None:
        return skipped("There is no pyproject.toml, so nothing to install.")
    evidence: dict[str, object] = {}
    for series in interpreter.PYODIDE_FOR_PYTHON:
        native = programs.which(f"python{series}", observed.environ)
        made = interpreter.find(observed.session, series)
        evidence[series] = {
            "native": str(native) if native else None,
            "pyodide": str(made.folder) if made else None,
        }
    here = [name for name, one in evidence.items() if isinstance(one, dict) and one["pyodide"]]
    said = f"in the store for {' and '.join(here)}" if here else "made at the first sync"
    return passed(f"The Pyodide interpreter: {said}.", **evidence)


def sdk(observed: Observed) -> Finding:
    """See whether the package that `import workers` comes from is in python_modules."""
    folder = freshness.root(observed.project)
    one = project.worker(observed)
    if folder is None or one is None or not one.is_python:
        return skipped("There is no Python worker with a pyproject.toml here.")
    modules = folder / freshness.MODULES
    if not modules.is_dir():
        return skipped("The worker's packages are not in place yet: `run` installs them.")
    if not (modules / "workers").is_dir():
        return failed(
            f"{modules} lacks `workers`, which every Python worker imports.",
            "It comes with workers-runtime-sdk, since workers-py 1.9.",
            "pyodide-offline run -- pywrangler sync --force",
            blame="toolchain",
            folder=str(modules),
        )
    return passed("The worker's packages are in place, `workers` among them.", folder=str(modules))


def callers(observed: Observed) -> Finding:
    """Name what else in the project starts workerd."""
    here = {
        package: str(found)
        for package in _CALLERS
        if (found := wranglers.resolve(observed.project, package))
    }
    if not here:
        return skipped("Neither the Vite plugin nor the vitest pool is in the project.")
    names = " and ".join(_CALLERS[package] for package in here)
    return passed(f"{names[0].upper()}{names[1:]}: `run` serves their workerd too.", **here)


CHECKS = (
    Check("tool.python", "Which Python is this, and can it install?", python),
    Check("tool.wrangler", "Is wrangler here, and whole?", broken_wrangler),
    Check("tool.node", "Does Node.js fit the wrangler at hand?", node, after=("tool.wrangler",)),
    Check("tool.npx", "Does npx find a wrangler at once?", npx, after=("tool.wrangler",)),
    Check("tool.uv", "Does uv start?", uv),
    Check("tool.pywrangler", "Is pywrangler here, with a fit uv?", pywrangler),
    Check("tool.pythons", "Which Pythons are here for the worker's packages?", pythons),
    Check("tool.sdk", "Is workers-runtime-sdk in python_modules?", sdk),
    Check("tool.callers", "What else here starts workerd?", callers),
)
