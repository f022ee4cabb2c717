"""kit.pyz: the same bytes each time, and nothing in it but the standard library's world."""

import ast
import importlib.util
import io
import sys
import zipfile
from pathlib import Path

from pyodide_offline.kits import program


def test_it_is_the_same_each_time_and_holds_its_modules() -> None:
    data = program.archive()
    assert data == program.archive()
    assert data.startswith(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert file.namelist()[0] == "__main__.py"
        assert "pyodide_offline/kits/__init__.py" in file.namelist()


def test_its_modules_import_each_other_and_the_standard_library_only() -> None:
    known = {*program.MODULES, *sys.stdlib_module_names}
    for name in program.MODULES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        for node in ast.walk(ast.parse(Path(found.origin).read_text())):
            imported: list[str] = []
            if isinstance(node, ast.Import):
                imported = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                nested = [f"{module}.{one.name}" for one in node.names]
                ours = module.startswith("pyodide_offline")
                imported = (
                    [one for one in nested if importlib.util.find_spec(one)]
                    if (module in ("pyodide_offline", "pyodide_offline.kits"))
                    else []
                )
                imported = [*imported, module] if ours else [module.partition(".")[0]]
            for one in imported:
                assert one in known or one.partition(".")[0] in sys.stdlib_module_names, (name, one)
