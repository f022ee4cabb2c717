"""Rewrites of Emscripten's generated JavaScript so that it runs inside workerd.

The rules, and why each is needed (workerd's `pyodide-internal:builtin_wrappers`, which
is text inside the binary, exports what the replacements call):

- A worker may not compile WebAssembly from bytes; workerd compiles for the callers that
  it knows: `newWasmModule(bytes)`, `wasmInstantiate(moduleOrBytes, imports)`.
- There is no entropy before a request: `getRandomValues(Module, array)` decides.
- The clock stands still during a request, and Python's import system takes a folder
  whose time did not move for unchanged: `monotonicDateNow` advances at each call.
- `eval` is forbidden: the few generated calls say so instead of failing oddly.
- Shared libraries are in a read-only file system, their memory at the place that a
  snapshot remembers: `patchedLoadLibData`, `Module.getMemoryPatched`.
- workerd imports `_createPyodideModule` by name.

Releases before November 2026 have no such wrappers: there the same names are functions
of our own `setup.js`, which stands behind the rewritten code in one module (forms below).

Each spot is counted. A count that differs means that this is other code than the one
these rules were written for, so it is an error that names the spot.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import AssemblyError

_WRAPPERS = "pyodide-internal:builtin_wrappers"
_IMPORTED = (
    "addEventListener",
    "getRandomValues",
    "location",
    "monotonicDateNow",
    "newWasmModule",
    "patchedLoadLibData",
    "wasmInstantiate",
)
_NO_EVAL = (
    "function noEvalInWorkerd() {\n"
    '  throw new Error("Pyodide asked for JavaScript\'s eval, which workerd forbids");\n'
    "}\n"
)
# What a bundle is made for: the module that workerd imports, and as which kind of it.
ASM = "asm"
SETUP = "setup"
SETUP_AS_DATA = "setup-as-data"
_HEADS = {
    ASM: f'import {{ {", ".join(_IMPORTED)} }} from "{_WRAPPERS}";\n',
    SETUP: 'import unsafeEval from "internal:unsafe-eval";\n',
    # Read as data and compiled by C++: nothing can be imported there.
    SETUP_AS_DATA: "const unsafeEval = null;\n",
}
_TAIL = "\nexport { _createPyodideModule };\nexport default _createPyodideModule;\n"
_LOAD_LIBRARY = (
    "function loadLibData(){"
    "const compiled=patchedLoadLibData(Module,libName,flags.rpath);"
    "return flags.loadAsync?Promise.resolve(compiled):compiled;"
)


@dataclass(frozen=True)
class Spot:
    """One rewrite: every ``find`` becomes ``put``; there must be exactly ``count``."""

    name: str
    find: str
    put: str
    count: int


SPOTS = (
    Spot("wasm-module", "new WebAssembly.Module(", "newWasmModule(", 4),
    Spot("wasm-instantiate", "WebAssembly.instantiate(", "wasmInstantiate(", 2),
    Spot("clock", "Date.now", "monotonicDateNow", 22),
    Spot("entropy", "crypto.getRandomValues(", "getRandomValues(Module,", 1),
    Spot("eval-function", "eval(func)", "noEvalInWorkerd(func)", 2),
    Spot("eval-data", "eval(data)", "noEvalInWorkerd(data)", 1),
    Spot("eval-memory", "eval(UTF8ToString(ptr))", "noEvalInWorkerd(UTF8ToString(ptr))", 3),
    Spot("load-library", "function loadLibData(){", _LOAD_LIBRARY, 1),
    Spot("library-memory", "getMemory(", "Module.getMemoryPatched(Module,libName,", 1),
)
# No file lies beside the script, so its folder is not looked for. There the URL cannot be made,
# which is caught, but for the error V8 parses the whole megabyte of code once more: some 20 ms
# of each start. Code without this spot runs as well.
_FOLDER = 'try{scriptDirectory=new URL(".",_scriptName).href}catch{}'
# Pyodide 314 ships an ES module, 0.28 a script that ends by setting a global.
EXPORTS = {
    "pyodide.asm.mjs": Spot("export", "export default _createPyodideModule;", "", 1),
    "pyodide.asm.js": Spot(
        "export", "globalThis._createPyodideModule = _createPyodideModule;", "", 1
    ),
}


@dataclass(frozen=True)
class Rewritten:
    """The module's text, and how often each spot was found."""

    text: str
    counts: dict[str, int]


def rewrite(
    text: str, file_name: str, *, version: str, public_version: str, form: str = ASM
) -> Rewritten:
    """Turn npm's Emscripten file into the module that workerd imports, of one form.

    ``public_version`` replaces the text that ``pyodide.version`` shows (a ``var`` of the
    minified code), which workerd compares; ``API.version`` stays true, since workerd's own
    branches read it. Raises AssemblyError, naming the spot.
    """
    counts = {}
    for spot in (*SPOTS, EXPORTS[file_name]):
        text, counts[spot.name] = _apply(text, spot, file_name, version)
    counts["script-folder"] = text.count(_FOLDER)
    text = text.replace(_FOLDER, "")
    if public_version != version:
        found = re.findall(rf'var [\w$]+="{re.escape(version)}";', text)
        _expect("public-version", len(found), 1, file_name, version)
        text = text.replace(found[0], found[0].replace(version, public_version))
        counts["public-version"] = 1
    tail = _TAIL if form == ASM else "\n" + _setup()
    return Rewritten(_HEADS[form] + _NO_EVAL + text + tail, counts)


def revision() -> str:
    """Return a short name of these rules; it changes when any of them changes."""
    rules = repr((SPOTS, EXPORTS, _FOLDER, _HEADS, _NO_EVAL, _TAIL, _setup()))
    return hashlib.sha256(rules.encode()).hexdigest()[:10]


def _setup() -> str:
    return Path(__file__).with_name("setup.js").read_text(encoding="utf-8")


def _apply(text: str, spot: Spot, file_name: str, version: str) -> tuple[str, int]:
    found = text.count(spot.find)
    _expect(spot.name, found, spot.count, file_name, version)
    return text.replace(spot.find, spot.put), found


def _expect(spot: str, found: int, wanted: int, file_name: str, version: str) -> None:
    if found != wanted:
        raise AssemblyError(
            f"Pyodide {version} cannot be made into a bundle: spot {spot!r} of {file_name} "
            f"was found {found} times instead of {wanted}.",
            why="Its generated code differs from what the rewrites were written for.",
            next_step="Use the official bundle (--bundle official), or a newer pyodide-offline.",
        )
