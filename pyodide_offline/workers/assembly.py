"""npm's ``pyodide`` package made into a bundle, in the form that a workerd wants.

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
# By form: the name of the module with the code, and the union member of each of the three.
_SHAPES = {
    glue.ASM: ("pyodide.asm", ("src", "wasm", "data")),
    glue.SETUP: ("emscriptenSetup", ("src", "wasm", "data")),
    glue.SETUP_AS_DATA: ("emscriptenSetup.js", ("data", "data", "data")),
}


@dataclass(frozen=True)
class Assembled:
    """A bundle's bytes, the Python in it (``3.14.2``) and the count of each rewrite.

    ``lacks`` are the modules of Python's standard library that are not in it: Pyodide's
    lockfile has them as packages of their own, which npm does not carry.
    """

    content: bytes
    python: str
    counts: dict[str, int]
    lacks: tuple[str, ...] = ()


def from_package(
    tarball: Path, *, version: str, public_version: str, form: str = glue.ASM
) -> Assembled:
    """Assemble a bundle from npm's tarball of Pyodide ``version``, in one of glue's forms.

    ``public_version`` is the text that workerd expects ``pyodide.version`` to be.
    Raises AssemblyError if the package or a spot of its code is not as it must be.
    """
    wanted = [*glue.EXPORTS, _WASM, _STDLIB, _LOCK]
    files = archive.read_members(tarball, (_ROOT + name for name in wanted))
    script = next((name for name in glue.EXPORTS if _ROOT + name in files), None)
    missing = [name for name in (_WASM, _STDLIB, _LOCK) if _ROOT + name not in files]
    if script is None or missing:
        absent = ", ".join(missing) or " or ".join(glue.EXPORTS)
        raise AssemblyError(
            f"npm's pyodide {version} cannot be made into a bundle: it has no {absent}."
        )
    text = files[_ROOT + script].decode("utf-8")
    rewritten = glue.rewrite(
        text, script, version=version, public_version=public_version, form=form
    )
    modules = shaped(form, rewritten.text.encode(), files[_ROOT + _WASM], files[_ROOT + _STDLIB])
    python, lacks = _lockfile(files[_ROOT + _LOCK], version)
    return Assembled(bundle.encode(modules), python, rewritten.counts, lacks)


def shaped(form: str, code: bytes, wasm: bytes, stdlib: bytes) -> list[bundle.Module]:
    """Return the three modules under the names and as the kinds of a form."""
    name, members = _SHAPES[form]
    contents = {name: code, "pyodide.asm.wasm": wasm, "python_stdlib.zip": stdlib}
    return [
        bundle.Module(_RUNTIME + module, member, content)
        for (module, content), member in zip(contents.items(), members, strict=True)
    ]


def _lockfile(lock: bytes, version: str) -> tuple[str, tuple[str, ...]]:
    """Return the version of Python and the modules that are packages of their own."""
    try:
        data: Mapping[str, Any] = json.loads(lock)
        python = str(data["info"]["python"])
        packages = [
            package
            for package in data.get("packages", {}).values()
            if package.get("package_type") == "cpython_module"
        ]
        return python, tuple(sorted(name for one in packages for name in one["imports"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssemblyError(f"{_LOCK} of Pyodide {version} does not name its Python.") from error
