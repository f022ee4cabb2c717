"""A worker's project with programs that only look like the real ones, for `doctor`.

As a module: ``lay_out``. As a script, in a scene:

    {python} {root}/tests/peers/toolroom.py [--version 4.164.0] [--range '>=22'] [--node 22.12.0]
        [--status 1 --says TEXT] [--without binary|wrangler|worker] [--stored]

makes node_modules and a worker in the folder it is started in, Node, npm and npx in
$HOME/bin, and with --stored the worker's bundle in the store.
"""

import argparse
import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyodide_offline import digest as digests
from pyodide_offline.store import Store
from pyodide_offline.workers.toolchain import platforms
from tests.peers import workerd

WORKER = """\
name = "w"
main = "src/entry.py"
compatibility_date = "2026-11-17"
compatibility_flags = ["python_workers"]
"""
BUNDLE = b"a bundle that nobody reads" * 4000
SETUP = workerd.Setup(digest=digests.of_bytes(BUNDLE).sri)


def lay_out(
    project: Path,
    *,
    version: str = "4.164.0",
    node_range: str = ">=22.12.0",
    status: int | None = None,
    says: str = "",
    without: str = "",
) -> Path:
    """Make wrangler, workerd and a worker in a project; return where workerd's binary is.

    With ``status`` the binary prints ``says`` and ends so, whatever is asked of it.
    """
    modules = project / "node_modules"
    package = platforms.workerd_package()
    assert package is not None
    binary = modules / package / "bin" / "workerd"
    if without != "wrangler":
        _package(modules / "wrangler", version, engines={"node": node_range})
        _package(modules / "workerd", "1.20261117.1")
        (modules / "workerd" / "workerd.capnp").write_text("")
    if without not in ("wrangler", "binary"):
        _package(modules / package, "1.20261117.1")
        workerd.make(binary.parent, SETUP)
        if status is not None:
            binary.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\nexit {status}\n")
    if without != "worker":
        (project / "src").mkdir(exist_ok=True)
        (project / "src" / "entry.py").write_text("")
        (project / "wrangler.toml").write_text(WORKER)
    return binary


def programs(folder: Path, node: str) -> None:
    """Make a Node of this version, with npm and npx."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, said in (("node", f"v{node}"), ("npm", "11.0.0"), ("npx", "11.0.0")):
        (folder / name).write_text(f"#!/bin/sh\necho {said}\n")
        (folder / name).chmod(0o755)


def store_bundle(store: Store) -> Path:
    """Put the bundle that the binary asks for into a store."""

    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(BUNDLE)
        return {"source": "official", "pyodide": "314.0.6"}

    return store.fill("bundle", SETUP.id, produce).path


def _package(folder: Path, version: str, **more: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"name": folder.name, "version": version, **more})
    (folder / "package.json").write_text(text)


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", default="4.164.0")
    parser.add_argument("--range", default=">=22.12.0", dest="node_range")
    parser.add_argument("--node", default="")
    parser.add_argument("--status", type=int)
    parser.add_argument("--says", default="")
    parser.add_argument("--without", default="")
    parser.add_argument("--stored", action="store_true")
    named = vars(parser.parse_args())
    node, stored = named.pop("node"), named.pop("stored")
    lay_out(Path.cwd(), **named)
    if node:
        programs(Path(os.environ["HOME"]) / "bin", node)
    if stored:
        store_bundle(Store(Path(os.environ["PYODIDE_OFFLINE_STORE_DIR"])))


if __name__ == "__main__":
    main()
