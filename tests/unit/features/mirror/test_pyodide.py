"""Pyodide's files: the core out of npm's package, packages by that package's lock."""

import hashlib
import json

from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry

WHEEL = b"wheel" * 1000
LOCK = {
    "info": {
        "abi_version": "2026_0",
        "arch": "wasm32",
        "platform": "emscripten_4",
        "python": "3.14.0",
    },
    "packages": {
        "a": {
            "name": "a",
            "version": "1.0",
            "file_name": "a-1.0-py3-none-any.whl",
            "sha256": hashlib.sha256(WHEEL).hexdigest(),
            "depends": [],
            "imports": ["a"],
        }
    },
}


def test_core_and_packages(session, tmp_path):
    async def scene():
        with Registry() as registry:
            files = {
                "package/package.json": b"{}",
                "package/pyodide.asm.wasm": b"\0asm" * 100,
                "package/pyodide-lock.json": json.dumps(LOCK).encode(),
            }
            registry.add("pyodide", "314.0.0", files=files)
            registry.script("/cdn/v314.0.0/full/a-1.0-py3-none-any.whl", Answer(200, WHEEL))
            upstreams = {"npm": registry.url, "pyodide": f"{registry.origin}/cdn/"}
            async with front(session, tmp_path, upstreams=upstreams) as made:
                base = "/pyodide/v314.0.0/full"
                wasm = await ask(made.app, f"{base}/pyodide.asm.wasm")
                assert wasm.body == files["package/pyodide.asm.wasm"]
                assert wasm.headers["content-type"] == "application/wasm"
                lock = await ask(made.app, f"{base}/pyodide-lock.json")
                assert json.loads(lock.body) == LOCK
                assert (await ask(made.app, f"{base}/a-1.0-py3-none-any.whl")).body == WHEEL
                for path in (f"{base}/x.whl", f"{base}/../x", "/pyodide/v1/full/a", "/pyodide/x"):
                    assert (await ask(made.app, path)).status in (400, 404), path
                fetched = registry.paths().count("/pyodide/-/pyodide-314.0.0.tgz")
                assert fetched == 1

    played(scene)
