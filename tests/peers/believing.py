"""Does each real program believe a certificate? A script for `pyodide-offline run`.

    python believing.py https://localhost:PORT WORKERD...

Each is asked to fetch from there, and some from the public registries that they know; one
line of JSON at the end says which could, and what the others said.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (compatibilityDate = "2025-11-02",
                              serviceWorkerScript = embed "worker.js")),
    (name = "internet", network = (allow = ["public", "private"],
                                   tlsOptions = (trustBrowserCas = true)))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
"""
_WORKER = """
const page = async () => new Response(await fetch("ORIGIN").then(r => r.text(), String));
addEventListener("fetch", event => event.respondWith(page()));
"""


def commands(origin: str, folder: Path) -> Mapping[str, Sequence[str]]:
    """Return a command each; it ends with 0 if what it fetched was believed."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir"]
    pip += ["-d", str(folder), "--retries=0"]
    uv = ["uv", "pip", "install", "-q", "--no-cache", "--no-deps", "--target", str(folder)]
    npm = ["npm", "view", "--fetch-retries=0", "--prefer-online"]
    fetch = f"fetch('{origin}').then(r => console.log(r.status), e => process.exit(1))"
    opened = f"import urllib.request as u; u.urlopen('{origin}', timeout=20)"
    return {
        "node": ["node", "-e", fetch],
        "npm": [*npm, "x", "version", f"--registry={origin}/"],
        "pip": [*pip, f"--index-url={origin}/simple/", "x"],
        "uv": [*uv, f"--default-index={origin}/simple/", "x"],
        "python": [sys.executable, "-c", opened],
        "npm, public": [*npm, "is-number", "version"],
        "pip, public": [*pip, "six"],
        "uv, public": [*uv, "six"],
    }


def by_worker(workerd: str, origin: str, folder: Path) -> str:
    """Return what a worker of this workerd gets from there, or what went wrong."""
    (folder / "config.capnp").write_text(_CONFIG, encoding="utf-8")
    (folder / "worker.js").write_text(_WORKER.replace("ORIGIN", origin), encoding="utf-8")
    reading, writing = os.pipe()
    command = [workerd, "serve", str(folder / "config.capnp"), f"--control-fd={writing}"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as child:
        os.close(writing)
        with os.fdopen(reading) as control:
            port = json.loads(control.readline())["port"]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                return str(opener.open(f"http://127.0.0.1:{port}/", timeout=30).read().decode())
            except OSError as error:
                return str(error)
            finally:
                child.terminate()


def main(origin: str, *workerds: str) -> None:
    """Try all of them."""
    seen: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {**os.environ, "npm_config_cache": str(folder / "npm")}
        for program, command in commands(origin, folder).items():
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=120, check=False
            )
            seen[program] = done.returncode == 0 or done.stdout + done.stderr
        for workerd in workerds:
            said = by_worker(workerd, origin, folder)
            seen[f"workerd in {workerd.split('/wrangler/')[1].split('-')[0]}"] = (
                "versions" in said or said
            )
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
