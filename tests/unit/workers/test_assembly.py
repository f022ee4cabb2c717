"""npm's package made into a bundle."""

import pytest

from pyodide_offline.errors import AssemblyError, IntegrityError
from pyodide_offline.workers import assembly, bundle, glue
from tests.peers import pyodide


def make(path, version="314.0.6", public=None):
    return assembly.from_package(path, version=version, public_version=public or version)


def test_the_bundle_has_the_three_modules_of_the_newest_interface(tmp_path):
    made = make(pyodide.tarball(tmp_path / "p.tgz"))
    modules = {module.name.split(":")[1]: module for module in bundle.decode(made.content)}
    assert {name: module.form for name, module in modules.items()} == {
        "pyodide.asm": "src",
        "pyodide.asm.wasm": "wasm",
        "python_stdlib.zip": "data",
    }
    assert modules["pyodide.asm.wasm"].content == b"\0asm314.0.6"
    assert made.python == "3.14.2"


def test_a_script_of_the_older_pyodide_works_too(tmp_path):
    tarball = pyodide.tarball(tmp_path / "p.tgz", "0.28.2", module=False)
    made = make(tarball, "0.28.2", "314.0.6")
    assert made.python == "3.13.2"
    assert b'var pub="314.0.6";' in made.content


def test_the_same_package_gives_the_same_bytes(tmp_path):
    one = make(pyodide.tarball(tmp_path / "a.tgz"))
    other = make(pyodide.tarball(tmp_path / "b.tgz"))
    assert one.content == other.content


@pytest.mark.parametrize(
    "missing", ["pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"]
)
def test_a_missing_file_is_named(tmp_path, missing):
    with pytest.raises(AssemblyError, match=missing):
        make(pyodide.tarball(tmp_path / "p.tgz", without=missing))


def test_a_broken_archive_is_an_integrity_error(tmp_path):
    whole = pyodide.tarball(tmp_path / "p.tgz").read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match="cannot be read"):
        make(tmp_path / "cut.tgz")


@pytest.mark.parametrize(
    ("form", "modules"),
    [
        (glue.SETUP, {"emscriptenSetup": "src", "pyodide.asm.wasm": "wasm"}),
        (glue.SETUP_AS_DATA, {"emscriptenSetup.js": "data", "pyodide.asm.wasm": "data"}),
    ],
)
def test_the_earlier_forms_have_other_modules(tmp_path, form, modules):
    tarball = pyodide.tarball(tmp_path / "p.tgz")
    made = assembly.from_package(tarball, version="314.0.6", public_version="314.0.6", form=form)
    found = {one.name.split(":")[1]: one.form for one in bundle.decode(made.content)}
    assert found == {**modules, "python_stdlib.zip": "data"}


def test_what_the_lockfile_has_apart_is_lacking(tmp_path):
    packages = {
        "sqlite3": {"package_type": "cpython_module", "imports": ["sqlite3", "_sqlite3"]},
        "numpy": {"package_type": "package", "imports": ["numpy"]},
        "libssl": {"package_type": "shared_library", "imports": []},
    }
    made = make(pyodide.tarball(tmp_path / "p.tgz", packages=packages))
    assert made.lacks == ("_sqlite3", "sqlite3")
    assert make(pyodide.tarball(tmp_path / "q.tgz")).lacks == ()
