"""npm's ``pyodide`` package made into a bundle for workerd's newest interface.

Three modules, from the three files of the package that an official bundle is built from
too. Deterministic: the same package and the same rules give the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import archive
from pyodide_offline.errors import AssemblyError
from pyodide_offline.workers import bundle, glue

_ROOT = "package/"
_WASM = "pyodide.asm.wasm"
_STDLIB = "python_stdlib.zip"
_LOCK = "pyodide-lock.json"
_RUNTIME = "pyodideRuntime-internal:"


@dataclass(frozen=True)
class Assembled:
    """A bundle's bytes, the Python in it (``3.14.2``) and the count of each rewrite."""

    content: bytes
    python: str
    counts: dict[str, int]


def from_package(tarball: Path, *, version: str, public_version: str) -> Assembled:
    """Assemble a bundle from npm's tarball of Pyodide ``version``.

    ``public_version`` is the text that workerd expects ``pyodide.version`` to be.
    Raises AssemblyError if the package or a spot of its code is not as it must be.
    """
    wanted = [*glue.EXPORTS, _WASM, _STDLIB, _LOCK]
    files = archive.read_members(tarball, (_ROOT + name for name in wanted))
    script = next((name for name in glue.EXPORTS if _ROOT + name in files), None)
    missing = [name for name in (_WASM, _STDLIB, _LOCK) if _ROOT + name not in files]
    if script is None or missing:
        lacks = ", ".join(missing) or " or ".join(glue.EXPORTS)
        raise AssemblyError(
            f"npm's pyodide {version} cannot be made into a bundle: it has no {lacks}."
        )
    text = files[_ROOT + script].decode("utf-8")
    rewritten = glue.rewrite(text, script, version=version, public_version=public_version)
    modules = [
        bundle.Module(_RUNTIME + "pyodide.asm", "src", rewritten.text.encode()),
        bundle.Module(_RUNTIME + "pyodide.asm.wasm", "wasm", files[_ROOT + _WASM]),
        bundle.Module(_RUNTIME + "python_stdlib.zip", "data", files[_ROOT + _STDLIB]),
    ]
    python = _python_version(files[_ROOT + _LOCK], version)
    return Assembled(bundle.encode(modules), python, rewritten.counts)


def _python_version(lock: bytes, version: str) -> str:
    try:
        info: Mapping[str, Any] = json.loads(lock)["info"]
        return str(info["python"])
    except (ValueError, KeyError, TypeError) as error:
        raise AssemblyError(f"{_LOCK} of Pyodide {version} does not name its Python.") from error
