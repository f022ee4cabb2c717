"""Which modules a worker imports when it starts, of some that it should better not.

Found by reading, nothing is run: from the entry module along the imports that are carried
out at import time. An import that the code itself expects to fail (in a ``try`` that
catches ImportError), one under TYPE_CHECKING, and in packages one inside of a function do
not count; in the worker's own modules the last kind does.
"""

import ast
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

_EXPECTED = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def imported(entry: Path, roots: Sequence[Path], wanted: Set[str]) -> dict[str, Path]:
    """Return which of the wanted modules are reached from the entry, and by which file first.

    ``roots`` are the folders that modules are looked for in; all but the first hold packages.
    """
    found: dict[str, Path] = {}
    seen = {entry}
    waiting = [(entry, "")]
    while waiting:
        path, package = waiting.pop(0)
        own = not any(path.is_relative_to(root) for root in roots[1:])
        for name in _names(path, package, own=own):
            first = name.split(".", 1)[0]
            if first in wanted:
                found.setdefault(first, path)
            for step in _steps(name, roots):
                if step[0] not in seen:
                    seen.add(step[0])
                    waiting.append(step)
    return found


def _names(path: Path, package: str, *, own: bool) -> Iterator[str]:
    """Yield the modules that a file imports; names behind ``from … import`` too."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # not for us to say: Python will
    for node in _carried_out(tree.body, own=own):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _carried_out(body: Sequence[ast.AST], *, own: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if own:
                    yield from _carried_out(node.body, own=own)
            case ast.Try() if any(_expects(handler) for handler in node.handlers):
                yield from _carried_out(node.finalbody, own=own)
            case ast.If() if "TYPE_CHECKING" in ast.dump(node.test):
                yield from _carried_out(node.orelse, own=own)
            case ast.stmt() | ast.ExceptHandler() | ast.match_case():
                yield from _carried_out(list(ast.iter_child_nodes(node)), own=own)
            case _:
                continue


def _expects(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in _EXPECTED for one in named)


def _steps(name: str, roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files that importing a module runs (its packages first), with their package."""
    parts = name.split(".")
    for root in roots:
        folder = root
        for place, part in enumerate(parts):
            package = ".".join(parts[: place + 1])
            if (folder / part / "__init__.py").is_file():
                yield folder / part / "__init__.py", package
            elif (folder / f"{part}.py").is_file():
                yield folder / f"{part}.py", ".".join(parts[:place])
            elif not (folder / part).is_dir():
                break
            folder = folder / part
        else:
            return
