"""One command with all of it: toolchain, bundle, packages, shim, and nothing left behind."""

import json
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline import process
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.session import Session
from pyodide_offline.workers import advice, broker, project, schema, shim, supply
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain, freshness, npx, programs
from pyodide_offline.workers.toolchain.chain import Toolchain

if TYPE_CHECKING:
    from pyodide_offline.workers.answer import Answer
    from pyodide_offline.workers.snapshot_maker import Maker

# wrangler's own calls home: without a way out each is a wait or a warning, and none is needed
# to run a worker. A value that the user has set wins.
_QUIET = {
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_SEND_ERROR_REPORTS": "false",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_NO_SKILLS_UPDATE_PROMPTS": "true",
}
_RUNNERS = {"npm", "pnpm", "yarn", "bun"}


@dataclass(frozen=True)
class Plan:
    """What a command needs, known before it starts; ``syncs`` if it is pywrangler's own sync."""

    worker: project.Worker | None
    pywrangler: bool
    syncs: bool = False


def plan(session: Session, command: Sequence[str], config: Path | None = None) -> Plan:
    """Read the project and the command. Raises ProjectError for a broken configuration."""
    wranglers = _wranglers_arguments(command)
    named = _option(wranglers or (), "--config", "-c")
    path = config or (session.project / named if named else project.find_config(session.project))
    worker = None
    if path or wranglers is not None:
        worker = project.read(session.project, path, _option(wranglers or (), "--env", "-e"))
    if worker is None or not worker.is_python:
        return Plan(worker, _names(command, "pywrangler"))
    synced = (worker.config.parent / "pyproject.toml").is_file()
    pywrangler = synced and not _plain_wrangler(command, session.project)
    syncs = _names(command, "pywrangler") and (wranglers or ("",))[0] == "sync"
    return Plan(worker, pywrangler, syncs)


def run(
    session: Session,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    config: Path | None = None,
    policy: str = supply.AUTO,
    wrangler: str | None = None,
    snapshots: bool = True,
    python: str | None = None,
) -> int:
    """Run the command and return its exit status. ``say`` is told which Python runs.

    ``python`` is the one to run on, whatever the worker's date says.
    """
    needs = plan(session, command, config)
    found = chain.get(session, pywrangler=needs.pywrangler, version=wrangler)
    binary = _binary(session.environ, found)
    supplier = _Supplier(session, binary, policy, found.node.npm, say, python)
    extra: Mapping[str, str] = {}
    supplied = None
    if needs.worker and needs.worker.is_python:
        supplied = supplier(needs.worker.date, needs.worker.flags)
        if found.pywrangler and (
            needs.syncs or freshness.needed(session.project, found.pywrangler.version)
        ):
            # Loaded only now: it is much, and most starts do without.
            from pyodide_offline.workers.toolchain import sync

            # pywrangler goes by the date, whatever Python the worker is run on.
            series = (
                supplied.python_series
                if python is None
                else supply.dated_series(session, binary, needs.worker.date, needs.worker.flags)
            )
            report = sync.prepare(session, found, series, always=needs.syncs)
            extra = report.environment
        for sentence in advice.of(session, binary, needs.worker, supplied):
            say(sentence)

    makers: list[Maker] = []

    def maker() -> "Maker":
        from pyodide_offline.workers.snapshot_maker import Maker

        if not makers:
            makers.append(Maker(session))
        return makers[0]

    def answering(message: bytes) -> "Answer":
        from pyodide_offline.workers import answer

        description = schema.checked(session.store, found.wrangler.schema)
        using = answer.Snapshots(binary, maker()) if snapshots else None
        return answer.answer(session, description, message, supplier, using)

    def prepare(worker: project.Worker, supplied: Supplied) -> None:
        # What cannot be prepared fails again, and is reported, when a shim asks for it.
        with suppress(PyodideOfflineError, OSError):
            description = schema.checked(session.store, found.wrangler.schema)
            from pyodide_offline.workers import config, placement, snapshot

            config.load(description)
            folder = placement.choose_folder(session, [supplied])
            placement.place(session, worker.date, worker.flags, supplied, folder, supplier)
            if snapshots:
                snapshot.foresee(session.store, session.project)

    def started() -> None:
        """Load what the first shim will need while wrangler boots, not before."""
        if needs.worker and supplied:
            threading.Thread(target=prepare, args=(needs.worker, supplied)).start()

    with broker.serving(answering, session.progress.note) as socket:
        environ = found.environment(session.environ, extra)
        environ = npx.first(session, found.node, found.wrangler, environ)
        environ = _environment(session, environ, binary, socket)
        if python:
            environ[supply.PYTHON_VARIABLE] = python
        try:
            return process.supervise(
                [_resolve(command[0], environ), *command[1:]],
                env=environ,
                cwd=session.project,
                started=started,
            )
        finally:
            for one in makers:
                one.stop()


@dataclass(frozen=True)
class _Supplier:
    session: Session
    binary: Path
    policy: str
    npm: Sequence[str]
    say: Callable[[str], None]
    python: str | None = None

    def __call__(self, date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        supplied = supply.supply(
            self.session,
            self.binary,
            date,
            flags,
            policy=self.policy,
            npm=lambda: self.npm,
            renew=renew,
            python=self.python,
        )
        self.say(supplied.sentence())
        return supplied


def launcher(session: Session) -> Path:
    """Return the program that miniflare is told to start, made if it is not there.

    A shell line, because a shebang can hold neither spaces nor long paths.
    """
    source = Path(shim.__file__)
    if sys.platform == "win32":
        return Path(sys.executable).with_name("pyodide-offline-workerd.exe")
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S {shlex.quote(str(source))} "$@"\n'
    return programs.script(session, "pyodide-offline-workerd", text)


def _environment(
    session: Session, environ: dict[str, str], binary: Path, socket: str | None
) -> dict[str, str]:
    for name, value in _QUIET.items():
        environ.setdefault(name, value)
    environ.setdefault("NODE_COMPILE_CACHE", str(session.store.root / "v1" / "node-compile-cache"))
    environ["MINIFLARE_WORKERD_PATH"] = str(launcher(session))
    environ[shim.WORKERD] = str(binary)
    environ[shim.FOLDER] = str(session.cache_dir)
    if socket:
        environ[shim.SOCKET] = socket
    if session.offline:
        environ["PYODIDE_OFFLINE_OFFLINE"] = "1"
        environ.setdefault("UV_OFFLINE", "1")
        environ.setdefault("npm_config_offline", "true")
    return environ


def _binary(environ: Mapping[str, str], found: Toolchain) -> Path:
    """Return the real workerd: one that the user has named already stays in place."""
    named = environ.get("MINIFLARE_WORKERD_PATH")
    if named and Path(named).name != "pyodide-offline-workerd":
        return Path(named)
    return found.wrangler.workerd


def _resolve(program: str, environ: Mapping[str, str]) -> str:
    import shutil

    return shutil.which(program, path=environ.get("PATH")) or program


def _names(command: Sequence[str], program: str) -> bool:
    return any(Path(word).name.removesuffix(".cmd") == program for word in command[:4])


def _plain_wrangler(command: Sequence[str], folder: Path) -> bool:
    """Say whether only wrangler is started: then python_modules is the user's own affair."""
    if _names(command, "pywrangler"):
        return False
    if command[0] in _RUNNERS:
        return "pywrangler" not in _scripts(folder)
    return _names(command, "wrangler")


def _scripts(folder: Path) -> str:
    for place in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            return json.dumps(json.loads((place / "package.json").read_bytes()).get("scripts", {}))
    return ""


def _wranglers_arguments(command: Sequence[str]) -> Sequence[str] | None:
    """Return what follows wrangler or pywrangler in a command, None if neither is named."""
    for place, word in enumerate(command[:4]):
        if _names([word], "wrangler") or _names([word], "pywrangler"):
            return command[place + 1 :]
    return None


def _option(command: Sequence[str], *names: str) -> str | None:
    for place, word in enumerate(command):
        if word in names and place + 1 < len(command):
            return command[place + 1]
        for name in names:
            if word.startswith(name + "="):
                return word.removeprefix(name + "=")
    return None
