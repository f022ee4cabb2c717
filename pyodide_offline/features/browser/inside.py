"""A folder's Pyodide under Node: tried with every request forbidden, and used to compile."""

import json
from pathlib import Path
from typing import Any, Literal

from pyodide_offline import process
from pyodide_offline.errors import AssemblyError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node

# The oldest that Pyodide 314 runs on.
_NODE = ">=20.0.0"
_SCRIPT = Path(__file__).parent / "pages" / "inside.mjs"
_LONGEST = 600  # seconds


def run(
    session: Session, action: Literal["verify", "compile"], root: Path, listed: Path
) -> dict[str, Any]:
    """Return what the script found; ``listed`` is the folder's list. Raises AssemblyError."""
    program = node.provide(session, _NODE)
    done = process.capture(
        [program.executable, _SCRIPT, action, root, listed],
        env=session.environ,
        timeout=_LONGEST,
    )
    lines = done.stdout.strip().splitlines()
    if done.status != 0 or not lines:
        raise AssemblyError(
            "Pyodide does not start from this folder under Node.",
            why=process.tail(_reason(done.stderr)),
            next_step="Build the folder anew: pyodide-offline browser build",
        )
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _reason(output: str) -> str:
    """Return the line of Node's report that says what was thrown."""
    lines = [line for line in output.splitlines() if "Error" in line]
    return lines[0] if lines else output
