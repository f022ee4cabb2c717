"""The environment in which any command finds the tools, and workerd its bundle.

`run` gives it to its command; `env` prints it for those who start their commands otherwise.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers import shim, supply
from pyodide_offline.workers.command import Plan
from pyodide_offline.workers.toolchain import freshness, launch, npx, programs
from pyodide_offline.workers.toolchain.chain import Toolchain

OFFLINE_VARIABLE = "PYODIDE_OFFLINE_OFFLINE"
_SHIM_VARIABLE = "MINIFLARE_WORKERD_PATH"
_LAUNCHER = "pyodide-offline-workerd"

# wrangler's own calls home: without a way out each is a wait or a warning, and none is needed
# to run a worker. A value that the user has set wins.
_QUIET = {
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_SEND_ERROR_REPORTS": "false",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_NO_SKILLS_UPDATE_PROMPTS": "true",
}


def of(
    session: Session, found: Toolchain, binary: Path, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for a command; ``extra`` is put in as it is.

    Without the socket of a waiting `run`, the shim answers itself.
    """
    environ = found.environment(session.environ, extra)
    environ = npx.first(session, found.node, found.wrangler, environ)
    for name, value in _QUIET.items():
        environ.setdefault(name, value)
    environ.setdefault(
        "NODE_COMPILE_CACHE", str(session.store.root / LAYOUT / "node-compile-cache")
    )
    environ[launch.KEPT_CODE] = str(session.store.root / LAYOUT / "node-code")
    environ[_SHIM_VARIABLE] = str(launcher(session))
    environ[shim.WORKERD] = str(binary)
    environ[shim.FOLDER] = str(session.cache_dir)
    if session.offline:
        environ[OFFLINE_VARIABLE] = "1"
        environ.setdefault("UV_OFFLINE", "1")
        environ.setdefault("npm_config_offline", "true")
    return environ


def synced(
    session: Session, needs: Plan, found: Toolchain, binary: Path, series: str, python: str | None
) -> dict[str, str]:
    """Have the worker's packages in place; return the variables that a sync's uv needs.

    Only a command that syncs again gets them: any other uv of the user's is told nothing of
    it, as in a project that was in sync before. ``series`` is the bundle's Python, ``python``
    the one that was asked for instead of the date's. Raises what a sync raises.
    """
    worker, pywrangler = needs.worker, found.pywrangler
    if not (worker and pywrangler):
        return {}
    if not (needs.syncs or freshness.needed(session.project, pywrangler.version)):
        return {}
    # Loaded only now: it is much, and most starts do without.
    from pyodide_offline.workers.toolchain import sync

    # pywrangler goes by the date, whatever Python the worker is run on.
    if python is not None:
        series = supply.dated_series(session, binary, worker.date, worker.flags)
    report = sync.prepare(session, found, series, always=needs.syncs)
    return dict(report.environment) if needs.syncs else {}


def launcher(session: Session) -> Path:
    """Return the program that miniflare is told to start, made if it is not there.

    A shell line, because a shebang can hold neither spaces nor long paths.
    """
    source = Path(shim.__file__)
    if sys.platform == "win32":
        return Path(sys.executable).with_name(f"{_LAUNCHER}.exe")
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S {shlex.quote(str(source))} "$@"\n'
    return programs.script(session, _LAUNCHER, text)


def workerd(environ: Mapping[str, str], found: Toolchain) -> Path:
    """Return the real workerd: one that the user has named already stays in place."""
    named = environ.get(_SHIM_VARIABLE)
    if named and Path(named).stem != _LAUNCHER:
        return Path(named)
    return found.wrangler.workerd
