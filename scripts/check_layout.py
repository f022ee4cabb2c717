"""Hold two promises: each module has its tests, and no module outgrows a reader.

A module ``pyodide_offline/a/b.py`` has ``tests/unit/a/test_b.py`` with a test in it; a
package's ``__init__.py`` needs one (``test_<package>.py``) only when it defines
something. No Python file of the project has more than LIMIT lines: a module that
outgrows it becomes a package of the same name.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pyodide_offline"
LIMIT = 450
_FOLDERS = (PACKAGE, "scripts", "benchmarks", "tests", "examples")
_FOREIGN = {"python_modules", "node_modules", "__pycache__"}


def problems(root: Path) -> list[str]:
    """Return what does not hold under ``root``, one line each."""
    return [*_untested(root), *_too_long(root)]


def _untested(root: Path) -> list[str]:
    found = []
    for module in sorted((root / PACKAGE).rglob("*.py")):
        name = module.relative_to(root / PACKAGE)
        if module.name == "__main__.py" or (module.name == "__init__.py" and not _defines(module)):
            continue
        stem = module.parent.name if module.name == "__init__.py" else module.stem
        test = root / "tests" / "unit" / name.parent / f"test_{stem.lstrip('_')}.py"
        if not test.is_file():
            found.append(f"{module.relative_to(root)}: no {test.relative_to(root)}")
        elif not _has_test(test):
            found.append(f"{test.relative_to(root)}: no test in it")
    return found


def _too_long(root: Path) -> list[str]:
    found = []
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root)
            if any(part in _FOREIGN or part.startswith(".") for part in name.parts):
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LIMIT:
                found.append(f"{name}: {lines} lines, more than {LIMIT}")
    return found


def _defines(module: Path) -> bool:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)


def _has_test(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for node in ast.walk(tree)
    )


if __name__ == "__main__":
    found = problems(ROOT)
    print("\n".join(found))
    sys.exit(bool(found))
