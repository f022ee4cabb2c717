"""A small npm ``pyodide`` package with every spot that the rewrites look for."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyodide_offline.workers import glue


def script(version: str, *, module: bool = True) -> str:
    """Return generated code in which each spot occurs as often as in the real one."""
    name = "pyodide.asm.mjs" if module else "pyodide.asm.js"
    parts = [f'var pub="{version}";', f'API.version="{version}";']
    parts += [f"/*{spot.name}*/ {spot.find}" for spot in glue.SPOTS for _ in range(spot.count)]
    return "\n".join([*parts, glue.EXPORTS[name].find, ""])


def tarball(
    path: Path,
    version: str = "314.0.6",
    *,
    module: bool = True,
    without: str = "",
    text: str = "",
    packages: Mapping[str, Any] | None = None,
) -> Path:
    """Write the package's .tgz; ``without`` leaves a file out, ``text`` replaces the script."""
    name = "pyodide.asm.mjs" if module else "pyodide.asm.js"
    files = {
        "package.json": json.dumps({"name": "pyodide", "version": version}),
        name: text or script(version, module=module),
        "pyodide.asm.wasm": "\0asm" + version,
        "python_stdlib.zip": "PK" + version,
        "pyodide-lock.json": json.dumps(
            {"info": {"python": "3.14.2" if module else "3.13.2"}, "packages": packages or {}}
        ),
    }
    with tarfile.open(path, "w:gz") as tar:
        for file, content in files.items():
            if file != without:
                info = tarfile.TarInfo(f"package/{file}")
                info.size = len(content.encode())
                tar.addfile(info, io.BytesIO(content.encode()))
    return path
