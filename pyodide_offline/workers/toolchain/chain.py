"""The tools of one command together, and the environment that makes it find them."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node as nodes
from pyodide_offline.workers.toolchain import programs
from pyodide_offline.workers.toolchain import pywrangler as pywranglers
from pyodide_offline.workers.toolchain import wrangler as wranglers
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.pywrangler import Pywrangler
from pyodide_offline.workers.toolchain.wrangler import Wrangler


@dataclass(frozen=True)
class Toolchain:
    """What a command needs. ``pywrangler`` is None where it was not asked for."""

    node: Node
    wrangler: Wrangler
    pywrangler: Pywrangler | None

    def environment(
        self, environ: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return the environment for the command, changed only where it must be.

        ``extra`` is put in as it is: what a sync of ours says that later calls need.
        """
        made = {**environ, **(extra or {})}
        path = [part for part in environ.get("PATH", "").split(os.pathsep) if part]
        made["PATH"] = os.pathsep.join(
            [str(folder) for folder in self._first(environ)]
            + path
            + [str(folder) for folder in self._last(environ)]
        )
        if self.wrangler.prefix or self.node.managed:
            made.update(nodes.global_settings(environ))
        if self.wrangler.prefix:
            made["npm_config_prefix"] = str(self.wrangler.prefix)
        if self.pywrangler and self.pywrangler.managed:
            made[pywranglers.PYTHON_VARIABLE] = sys.executable
        return made

    def _first(self, environ: Mapping[str, str]) -> list[Path]:
        """Return the folders that must come before the user's own."""
        first = []
        if self.pywrangler:
            if programs.which("pywrangler", environ) != self.pywrangler.executable:
                first.append(self.pywrangler.executable.parent)
            if programs.which("uv", environ) != self.pywrangler.uv:
                first.append(self.pywrangler.uv.parent)
        if self.wrangler.managed:
            first.append(self.wrangler.bin_dir)
        if self.node.managed:
            first.append(self.node.bin_dir)
        return list(dict.fromkeys(first))

    def _last(self, environ: Mapping[str, str]) -> list[Path]:
        """Return the folder of the project's own commands, which may well be called bare."""
        own = not self.wrangler.managed and self.wrangler.bin_dir.is_dir()
        return [self.wrangler.bin_dir] if own and not programs.which("wrangler", environ) else []


def find(session: Session, *, pywrangler: bool) -> Toolchain | None:
    """Return the tools if all are on this machine: no network, and no program started twice.

    Raises what ``wrangler.find`` raises for a wrangler that cannot be used.
    """
    wrangler = wranglers.find(session)
    node = nodes.find(session, wrangler.node_range) if wrangler else None
    if wrangler is None or node is None:
        return None
    found = pywranglers.find(session) if pywrangler else None
    if pywrangler and found is None:
        return None
    return Toolchain(node, wrangler, found)


def provide(session: Session, *, pywrangler: bool) -> Toolchain:
    """Return the tools, brought from the registries where they are missing.

    Raises ToolchainError, UnsupportedError, OfflineError, StorageError.
    """
    wrangler = wranglers.find(session)
    if wrangler is None:
        # Which Node a wrangler wants is in its package, and npm, which fetches it, needs
        # one: any will do for that.
        installer = nodes.provide(session, "*")
        wrangler = wranglers.provide(session, installer.npm)
    node = nodes.provide(session, wrangler.node_range)
    return Toolchain(node, wrangler, pywranglers.provide(session) if pywrangler else None)


def get(session: Session, *, pywrangler: bool, version: str | None = None) -> Toolchain:
    """Return the tools from this machine, or bring what is missing.

    ``version`` asks for a managed wrangler of that version, whatever the project has.
    """
    if version is None:
        return find(session, pywrangler=pywrangler) or provide(session, pywrangler=pywrangler)
    installer = nodes.provide(session, "*")
    wrangler = wranglers.provide(session, installer.npm, version)
    node = nodes.provide(session, wrangler.node_range)
    return Toolchain(node, wrangler, pywranglers.provide(session) if pywrangler else None)
