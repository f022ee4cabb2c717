"""A toolchain as lines for people: which program, which version, whose, where."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers.toolchain import programs
from pyodide_offline.workers.toolchain.chain import Toolchain


@dataclass(frozen=True)
class Program:
    """One program; ``entry`` is what holds it in the store, None for the user's own."""

    what: str
    version: str
    path: Path
    entry: Entry | None


def listed(session: Session, chain: Toolchain) -> list[Program]:
    """Return the programs of a toolchain in the order in which they call each other."""
    entries = [entry for entry in session.store.entries() if entry.is_tree]

    def program(what: str, version: str, path: Path) -> Program:
        # Not resolved: a link in the store may well lead to something of the user's.
        holder = next((one for one in entries if path.is_relative_to(one.path)), None)
        return Program(what, version, path, holder)

    found = []
    if chain.pywrangler:
        uv = chain.pywrangler.uv
        version = programs.version(session, uv) or "unknown"
        found.append(program("pywrangler", chain.pywrangler.version, chain.pywrangler.executable))
        found.append(program("uv", version, uv))
    found.append(program("wrangler", chain.wrangler.version, chain.wrangler.package))
    found.append(
        program("workerd", _workerd_version(chain.wrangler.workerd), chain.wrangler.workerd)
    )
    found.append(program("Node", chain.node.version, chain.node.executable))
    return found


def folders(chain: Toolchain) -> list[Path]:
    """Return the folders of the managed programs, in the order that PATH needs."""
    before = chain.environment({"PATH": ""})["PATH"]
    return [Path(part) for part in before.split(os.pathsep) if part]


def _workerd_version(binary: Path) -> str:
    """Read the version from npm's package around the binary."""
    try:
        manifest = json.loads((binary.parent.parent / "package.json").read_bytes())
        return str(manifest["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
