"""A workerd that carries no hash, in the corporate scene: it downloads its bundle by itself."""

import re
import subprocess
from pathlib import Path

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import corporate
from tests.peers.wrangler import copy_example

ORIGIN = "pyodide-capnp-bin.edgeworker.net"
_WRANGLER = ["--wrangler", "4.86.0"]
_PLACE = ["--ip", "127.0.0.1", "--port", "8787"]
# wrangler's own calls home have nowhere to go there.
_QUIET = {"CLOUDFLARE_CF_FETCH_ENABLED": "false", "WRANGLER_SEND_METRICS": "false"}


def start(machine: Machine, folder: Path, *way: str) -> corporate.Seen:
    """Start its wrangler by ``way`` ("exec", "tunnel", options), look at its page, end it."""
    project = copy_example("starlette", folder / "a project", "2026-04-26")
    prefetch = [PROGRAM, "prefetch", *_WRANGLER, "--bundle", "npm"]
    # In a folder of its own: other releases take the same content under other names.
    own = {**machine.env, "PYODIDE_OFFLINE_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        prefetch, cwd=project, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"reads its bundle from (.+)", done.stdout)
    assert found
    (bundle,) = Path(found[1]).rglob("pyodide_*.capnp.bin")
    (wrangler,) = machine.home.rglob("wrangler/4.86.0-*/bin/wrangler")
    seen = corporate.play(
        [PROGRAM, *way, *_WRANGLER, "--", str(wrangler), "dev", *_PLACE],
        host=ORIGIN,
        file=bundle,
        folder=folder / "scene",
        cwd=project,
        env={**machine.env, **_QUIET},
        port=8787,
        paths=["/"],
    )
    assert "Starlette" in seen.pages["/"], seen
    assert seen.asked[0].startswith(f"{ORIGIN}/pyodide_0.28.2_"), seen
    assert [ORIGIN, 443] in seen.connects
    assert "secret" not in seen.output
    assert "0 refused, 0 failed" in seen.output
    return seen
