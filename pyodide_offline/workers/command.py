"""What a command line asks for: which worker, which configuration, whether pywrangler syncs."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.workers import project

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
    # `wrangler init`, `--version` and the like have no worker yet; what needs one says so itself.
    if path or (wranglers or ("",))[0] == "dev":
        worker = project.read(session.project, path, _option(wranglers or (), "--env", "-e"))
    if worker is None or not worker.is_python:
        return Plan(worker, _names(command, "pywrangler"))
    synced = project.is_packaged(worker)
    pywrangler = synced and not _plain_wrangler(command, session.project)
    syncs = _names(command, "pywrangler") and (wranglers or ("",))[0] == "sync"
    return Plan(worker, pywrangler, syncs)


def port(command: Sequence[str]) -> int | None:
    """Return the port that a dev server is told to use, None if it is told none."""
    named = _option(command, "--port")
    return int(named) if named and named.isascii() and named.isdigit() else None


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
