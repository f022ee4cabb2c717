"""The helper worker that imports a worker's packages and nothing of the worker's own.

Its memory serves every edit of the worker's own modules, as long as importing the packages
early cannot be told from importing them when the worker does. So:

- Taken are the imports that the worker carries out before any code of its own that could
  matter to them: from the entry module on, through own modules that are imported there, to
  the first statement that is more than an import, a literal or a function's definition.
- There is none where an own module has the name of a package or of the standard library,
  or where a package may import an own module: its memory would hold what it found without.
- ``workers`` is imported, its names are not: they may stand for bindings.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyodide_offline.workers.config import Code

VENDORED = "python_modules/"
_DYNAMIC = (b"import_module", b"__import__")
# Their content is another in each worker, or stands for JavaScript.
_REFUSED = {"js", "pyodide_js", "_pyodide", "pyodide"}
_WORKERS = "workers"
_LIES_AT = re.compile(rb"\n//# sourceURL=file:[^\n]*\n?\Z")


def statements(code: "Code") -> tuple[str, ...]:
    """Return the imports of packages that come before any code of the worker's own.

    Empty where none of them is a package's.
    """
    worker = _Worker(code)
    if worker.own_roots & (worker.packages | sys.stdlib_module_names):
        return ()
    if code.modules:
        worker.run(code.modules[0][0])
    return tuple(worker.found) if worker.package_found else ()


def apart(code: "Code") -> bool:
    """Say whether no package can import a module of the worker's own, by reading them."""
    roots = b"|".join(re.escape(root.encode()) for root in sorted(_Worker(code).own_roots))
    if not roots:
        return True
    plain = re.compile(rb"^[ \t]*(?:import|from)[ \t]+(?:" + roots + rb")\b", re.MULTILINE)
    quoted = re.compile(rb"""['"](?:""" + roots + rb""")['".]""")
    for name, _, content in code.modules:
        if not (name.startswith(VENDORED) and name.endswith(".py")):
            continue
        if plain.search(content):
            return False
        if any(word in content for word in _DYNAMIC) and quoted.search(content):
            return False
    return True


def placeless(module: tuple[str, str, bytes]) -> tuple[str, str, bytes]:
    """Return a module without the last line in which miniflare says where it lies.

    It is a comment of JavaScript; with it no other folder could have the same snapshot.
    """
    name, form, content = module
    return name, form, _LIES_AT.sub(b"\n", content) if form == "esModule" else content


class _Worker:
    """A worker's modules, and the imports that were met so far."""

    def __init__(self, code: "Code") -> None:
        self._own: Mapping[str, bytes] = {
            name: content
            for name, form, content in code.modules
            if not name.startswith(VENDORED) and (form == "pythonModule" or name.endswith(".py"))
        }
        self.own_roots = {_root(name) for name in self._own}
        self.packages = {
            _root(name.removeprefix(VENDORED))
            for name, _, _ in code.modules
            if name.startswith(VENDORED) and "." not in name.split("/")[1].removesuffix(".py")
        }
        self.found: list[str] = []
        self.package_found = False
        self._seen: set[str] = set()

    def run(self, name: str) -> bool:
        """Go through a module; say whether all of it was harmless."""
        self._seen.add(name)
        try:
            body = ast.parse(self._own[name]).body
        except (KeyError, SyntaxError, ValueError):
            return False
        return all(
            self._imported(node)
            if isinstance(node, ast.Import | ast.ImportFrom)
            else _harmless(node)
            for node in body
        )

    def _imported(self, node: ast.Import | ast.ImportFrom) -> bool:
        names = list(_names(node))
        if isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__"):
            return not node.level
        roots = {name.partition(".")[0] for name in names}
        if roots <= self.own_roots:
            return all(self.run(file) for name in names for file in self._files(name))
        if roots == {_WORKERS}:
            self.found.append(f"import {_WORKERS}")
            return True
        known = self.packages | sys.stdlib_module_names
        if not roots <= known or roots & (_REFUSED | {_WORKERS}):
            return False
        self.package_found = self.package_found or bool(roots & self.packages)
        self.found.append(ast.unparse(node))
        return True

    def _files(self, name: str) -> Iterator[str]:
        """Yield the own modules that importing one runs, those that were not run before."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            stem = "/".join(parts[:end])
            for file in (f"{stem}/__init__.py", f"{stem}.py"):
                if file in self._own and file not in self._seen:
                    yield file


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield what a statement imports; a name behind ``from … import`` may be a module too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        yield node.module or ""
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _harmless(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=value) | ast.Assign(value=value, targets=[ast.Name()]):
            return _literal(value)
        case ast.AnnAssign(value=None | ast.Constant(), target=ast.Name()):
            return True
        case ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            return all(map(_literal, defaults))
        case _:
            return False


def _literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _root(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")
