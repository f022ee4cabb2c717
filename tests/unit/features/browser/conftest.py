"""A registry with a small Pyodide, and an index of wheels in a folder."""

import json
import os

import pytest

from pyodide_offline.workers.toolchain import fallback
from tests.peers import wheels
from tests.peers.registry import Registry

ABI = "cp314-cp314-pyemscripten_2026_0_wasm32"


def entry(name, version="1.0", *, tag=ABI, depends=(), kind="package", file_name=None):
    return {
        "name": name,
        "version": version,
        "file_name": file_name or f"{name}-{version}-{tag}.whl",
        "sha256": "00" * 32,
        "depends": list(depends),
        "imports": [name],
        "package_type": kind,
    }


LOCK = {
    "info": {"abi_version": "2026_0", "arch": "wasm32", "platform": "e", "python": "3.14.2"},
    "packages": {
        "numpy": entry("numpy", "2.4", depends=["libblas"]),
        "libblas": entry("libblas", kind="shared_library", file_name="libblas-1.0.zip"),
        "pandas": entry("pandas", "3.0", depends=["numpy", "dateutil"]),
        "native": entry("native", "5.0"),
        "onlythere": entry("onlythere", tag="py3-none-any"),
    },
}
RUNTIME = {
    "pyodide.mjs": b"export {}",
    "pyodide.asm.mjs": b"x" * 5000,
    "pyodide.asm.wasm": b"\0asm" + b"w" * 5000,
    "python_stdlib.zip": b"PK",
    "pyodide-lock.json": json.dumps(LOCK).encode(),
}


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "an index"
    folder.mkdir()
    wheels.only(folder, monkeypatch)
    # Each that the index does not have costs several starts of pip.
    monkeypatch.setattr(fallback, "PACKAGES", ())
    return folder


@pytest.fixture
def registry(monkeypatch):
    with Registry() as server:
        files = {f"package/{name}": data for name, data in RUNTIME.items()}
        server.add("pyodide", "314.0.7", files=files)
        monkeypatch.setenv("npm_config_registry", server.url)
        monkeypatch.setenv("PATH", os.defpath)
        yield server
