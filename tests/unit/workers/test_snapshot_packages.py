"""Which imports may be carried out early: those before any code of the worker's own."""

import pytest

from pyodide_offline.workers import snapshot_packages
from pyodide_offline.workers.config import Code


def code(entry: str, **own: str) -> Code:
    """A worker with starlette, a file of its own for each name, and the SDK's `workers`."""
    vendored = {
        "python_modules/starlette/__init__.py": "",
        "python_modules/starlette/responses.py": "",
        "python_modules/asgi.py": "",
        "python_modules/workers/__init__.py": "",
        "python_modules/starlette-1.0.dist-info/METADATA": "",
    }
    files = {"entry.py": entry, **{f"{k}.py": v for k, v in own.items()}}
    modules = [(name, "pythonModule", text.encode()) for name, text in files.items()]
    modules += [(name, "data", text.encode()) for name, text in vendored.items()]
    return Code("2026-11-17", ("python_workers",), tuple(modules))


def statements(entry: str, **own: str) -> list[str]:
    return list(snapshot_packages.statements(code(entry, **own)))


def test_the_leading_imports_are_taken_in_their_order() -> None:
    entry = '''"""A worker."""
from __future__ import annotations
import json
from starlette.responses import (
    Response,
)
import asgi, starlette as s
TEXT = "literal"
PAIRS: dict[str, int]
def page(a=1, *, b=()): import js
import starlette
'''
    assert statements(entry) == [
        "import json",
        "from starlette.responses import Response",
        "import asgi, starlette as s",
        "import starlette",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['STARLETTE'] = '1'",
        "call()",
        "X = call()",
        "X: int = call()",
        "a.b = 1",
        "if True: pass",
        "try:\n    import starlette\nexcept ImportError: pass",
        "class A: pass",
        "@call\ndef f(): pass",
        "def f(a=call()): pass",
        "def f(*, a=call()): pass",
        "async def f(a=call()): pass",
        "import js",
        "from js import fetch",
        "import pyodide_js",
        "from pyodide.ffi import to_js",
        "import unknown",
        "import starlette, unknown",
        "import starlette, own",
        "import starlette, workers",
        "from . import own",
        "import broken",
        "import loud",
    ],
)
def test_nothing_behind_code_that_could_matter_is_taken(line: str) -> None:
    own = {"own": "", "broken": "(", "loud": "print(1)"}
    assert statements(f"import asgi\n{line}\nimport starlette.responses\n", **own)[:1] == [
        "import asgi"
    ]
    assert "import starlette.responses" not in statements(
        f"import asgi\n{line}\nimport starlette.responses\n", **own
    )


def test_own_modules_are_followed_and_left_out() -> None:
    found = statements(
        "import pages\nfrom views import a\nimport asgi\n",
        pages="from starlette import x\n",
        **{"views/__init__": "import json\n", "views/a": "import starlette.responses\n"},
    )
    assert found == [
        "from starlette import x",
        "import json",
        "import starlette.responses",
        "import asgi",
    ]


def test_an_own_module_is_run_once() -> None:
    assert statements("import pages\nimport pages\n", pages="import pages\nimport starlette\n") == [
        "import starlette"
    ]


def test_names_of_workers_are_not_taken() -> None:
    assert statements("from workers import env, Response\nimport starlette\n") == [
        "import workers",
        "import starlette",
    ]


@pytest.mark.parametrize("entry", ["", "import json\n", "import workers\n", "print(1)"])
def test_without_a_package_there_is_none(entry: str) -> None:
    assert statements(entry) == []


@pytest.mark.parametrize("name", ["starlette", "json", "asgi"])
def test_a_name_that_hides_a_package_or_the_standard_library_rules_it_out(name: str) -> None:
    assert statements("import starlette\n", other="") == ["import starlette"]
    assert statements("import starlette\n", **{name: ""}) == []


def test_no_modules_have_no_imports() -> None:
    assert snapshot_packages.statements(Code("2026-11-17", (), ())) == ()


def apart(package: str) -> bool:
    worker = code("import starlette\n", pages="")
    library = ("python_modules/library.py", "data", package.encode())
    return snapshot_packages.apart(Code(worker.date, (), (*worker.modules, library)))


@pytest.mark.parametrize(
    "package",
    [
        "import pages",
        "try:\n    from pages import TEXT\nexcept ImportError: pass",
        "from pages.more import x",
        "importlib.import_module('pages')",
        '__import__("pages.settings")',
    ],
)
def test_a_package_that_may_import_an_own_module_is_not_apart(package: str) -> None:
    assert not apart(package)


@pytest.mark.parametrize(
    "package",
    ["", "import pages_of_another", "scope['pages']", "# from here to pages", "import_module(x)"],
)
def test_other_packages_are_apart(package: str) -> None:
    assert apart(package)


def test_without_own_modules_all_packages_are_apart() -> None:
    assert snapshot_packages.apart(Code("2026-11-17", (), ()))


@pytest.mark.parametrize(
    ("form", "content", "left"),
    [
        ("esModule", b"x()\n//# sourceURL=file:///here/x.js\n", b"x()\n"),
        ("esModule", b"x()\n//# sourceURL=file:///here/x.js", b"x()\n"),
        ("esModule", b"//# sourceURL=file:///x.js\nx()\n", b"//# sourceURL=file:///x.js\nx()\n"),
        ("esModule", b"x()\n//# sourceURL=webpack:x.js\n", b"x()\n//# sourceURL=webpack:x.js\n"),
        ("data", b"\n//# sourceURL=file:///x.js\n", b"\n//# sourceURL=file:///x.js\n"),
    ],
    ids=["last", "unended", "first", "other", "data"],
)
def test_only_the_line_that_miniflare_adds_is_left_out(form, content, left):
    assert snapshot_packages.placeless(("x.js", form, content)) == ("x.js", form, left)
