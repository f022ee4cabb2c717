"""Which modules a worker reaches when it starts."""

import pytest

from pyodide_offline.workers import imports

WANTED = {"ssl", "sqlite3", "lzma"}


@pytest.fixture
def worker(tmp_path):
    """Write files below a project, and read what its entry reaches."""

    def reached(entry, **packages):
        files = {"src/entry.py": entry}
        for name, text in packages.items():
            files["python_modules/" + name.replace("_in_", "/") + ".py"] = text
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        roots = [tmp_path / "src", tmp_path / "python_modules"]
        found = imports.imported(roots[0] / "entry.py", roots, WANTED)
        return {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()}

    return reached


@pytest.mark.parametrize(
    "text",
    [
        "import ssl",
        "import os, ssl as s",
        "from ssl import SSLContext",
        "if True:\n    import ssl",
        "class A:\n    import ssl",
        "def f():\n    import ssl",
        "try:\n    import ssl\nexcept ValueError:\n    pass",
        "with open('x'):\n    import ssl",
    ],
)
def test_an_import_of_the_workers_own_counts(worker, text):
    assert worker(entry=text) == {"ssl": "src/entry.py"}


@pytest.mark.parametrize(
    "text",
    [
        "import sslx",
        "try:\n    import ssl\nexcept ImportError:\n    ssl = None",
        "try:\n    import ssl\nexcept (KeyError, ModuleNotFoundError):\n    ssl = None",
        "try:\n    import ssl\nexcept:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ssl",
        "import typing\nif typing.TYPE_CHECKING:\n    import ssl",
        "x = 'import ssl'",
        "this is no Python",
    ],
)
def test_what_the_code_expects_does_not(worker, text):
    assert worker(entry=text) == {}


def test_the_way_leads_through_packages(worker):
    found = worker(
        entry="import package.deep",
        package_in___init__="from . import sibling",
        package_in_deep="from .other import name",
        package_in_other="import sqlite3.dbapi2",
        package_in_sibling="import lzma",
        package_in_never="import ssl",
    )
    assert found == {
        "sqlite3": "python_modules/package/other.py",
        "lzma": "python_modules/package/sibling.py",
    }


def test_a_package_of_names_behind_from_is_followed(worker):
    found = worker(entry="from package import deep", package_in_deep="import ssl")
    assert found == {"ssl": "python_modules/package/deep.py"}


def test_a_relative_import_two_levels_up(worker):
    found = worker(
        entry="import a.b.c",
        a_in_b_in_c="from ..d import x",
        a_in_d="import ssl",
    )
    assert found == {"ssl": "python_modules/a/d.py"}


def test_a_function_of_a_package_does_not_count(worker):
    assert worker(entry="import package", package="def f():\n    import ssl") == {}


def test_circles_end(worker):
    assert worker(entry="import a", a="import b", b="import a\nimport ssl") == {
        "ssl": "python_modules/b.py"
    }


def test_a_missing_entry_reaches_nothing(tmp_path):
    assert imports.imported(tmp_path / "none.py", [tmp_path], WANTED) == {}
