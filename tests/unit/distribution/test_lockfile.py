"""Pyodide's lock file, read and written."""

import json
from typing import Any

import pytest

from pyodide_offline.distribution import lockfile
from pyodide_offline.errors import IntegrityError

RAW: dict[str, Any] = {
    "info": {"abi_version": "2026_0", "arch": "wasm32", "platform": "e", "python": "3.14.2"},
    "packages": {
        "numpy": {
            "name": "numpy",
            "version": "2.4.6",
            "file_name": "numpy-2.4.6-cp314-cp314-pyemscripten_2026_0_wasm32.whl",
            "sha256": "ab",
            "depends": ["libopenblas"],
            "imports": ["numpy"],
            "package_type": "package",
            "install_dir": "site",
            "tool": {"new": 1},
        },
        "libopenblas": {
            "name": "libopenblas",
            "version": "1",
            "file_name": "libopenblas-1.zip",
            "sha256": "cd",
            "depends": [],
            "imports": [],
            "package_type": "shared_library",
        },
    },
    "tool": {"at": "the top"},
}


def read(raw=RAW):
    return lockfile.read(json.dumps(raw).encode(), "the lock")


def test_what_it_is_for_and_what_it_names():
    lock = read()
    assert lock.target.platform == "pyemscripten_2026_0_wasm32"
    assert lock.packages["numpy"].compiled
    assert lock.packages["numpy"].depends == ("libopenblas",)
    assert lock.packages["libopenblas"].kind == "shared_library"


def test_written_with_fewer_packages_it_keeps_what_is_not_known_here():
    lock = read()
    data = lockfile.write(lock, [lock.packages["numpy"]])
    again = json.loads(data)
    assert list(again["packages"]) == ["numpy"]
    assert again["packages"]["numpy"] == {**RAW["packages"]["numpy"], "unvendored_tests": False}
    assert again["tool"] == RAW["tool"]
    assert lockfile.write(read(), [lock.packages["numpy"]]) == data


def test_a_closure_has_what_is_depended_on():
    assert [one.name for one in lockfile.closure(read(), ["NumPy"])] == ["libopenblas", "numpy"]


@pytest.mark.parametrize("text", ["", "[]", '{"info": {}}', '{"info": {"python": "3"}}'])
def test_something_else_is_an_error_that_says_what_was_read(text):
    with pytest.raises(IntegrityError, match="the lock is not a lock file"):
        lockfile.read(text.encode(), "the lock")
