"""The wheels of a folder, told apart."""

import hashlib
import json
from dataclasses import replace

import pytest

from pyodide_offline.distribution import lockfile
from pyodide_offline.errors import IntegrityError, OfflineError, ProjectError
from pyodide_offline.features.browser import spec, wheelhouse
from pyodide_offline.workers.toolchain import fallback
from tests.peers.wheels import wheel
from tests.unit.features.browser.conftest import ABI, LOCK

NATIVE = "cp314-cp314-manylinux_2_28_x86_64"


@pytest.fixture
def lock():
    return lockfile.read(json.dumps(LOCK).encode(), "the lock")


def collect(session, lock, *asked, **more):
    wanted = spec.read(asked, session.project, lock.target)
    return wheelhouse.collect(session, lock, wanted, **more)


def kinds(items):
    return {one.package.name: one.kind for one in items}


def test_pure_wasm_and_fallback_are_told_apart(session, lock, index, monkeypatch):
    monkeypatch.setattr(fallback, "PACKAGES", ("markupsafe",))
    wheel(index, "app", requires=["fast", "markupsafe"])
    wheel(index, "fast", tag=ABI)
    files = {"markupsafe/__init__.py": "", "markupsafe/_speedups.so": ""}
    wheel(index, "markupsafe", tag=NATIVE, files=files)
    items = collect(session, lock, "app")
    assert kinds(items) == {"app": "pure", "fast": "wasm", "markupsafe": "fallback"}
    assert {one.package.name: one.package.depends for one in items}["app"] == ("fast", "markupsafe")
    wheelhouse.refuse_missing(items)


def test_what_only_the_full_folder_has_is_named_all_at_once(session, lock, index):
    # An older release did without: the resolver must not fall back to that one.
    wheel(index, "app", "2.0", requires=["pandas"])
    wheel(index, "app", "1.0")
    wheel(index, "dateutil")
    items = collect(session, lock, "app")
    assert kinds(items) == {
        "app": "pure",
        "dateutil": "pure",
        "libblas": "full",
        "numpy": "full",
        "pandas": "full",
    }
    assert next(one for one in items if one.package.name == "app").package.version == "2.0"
    with pytest.raises(ProjectError, match="libblas, numpy, pandas"):
        wheelhouse.refuse_missing(items)


def test_a_full_folder_fills_them_and_each_file_is_verified(session, lock, index, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    package = lock.packages["native"]
    (full / package.file_name).write_bytes(b"wheel")
    with pytest.raises(IntegrityError, match="is not the file that Pyodide's lock names"):
        collect(session, lock, "native", full_dir=full)
    right = replace(package, sha256=hashlib.sha256(b"wheel").hexdigest())
    lock = replace(lock, packages={**lock.packages, "native": right})
    (item,) = collect(session, lock, "native", full_dir=full)
    assert (item.kind, item.path) == ("full", full / package.file_name)


def test_what_the_index_has_in_another_version_is_taken_from_there(session, lock, index):
    wheel(index, "native", "4.0", tag=ABI)
    (item,) = collect(session, lock, "native")
    assert (item.kind, item.package.version) == ("wasm", "4.0")
    assert kinds(collect(session, lock, "native>=5")) == {"native": "full"}


def test_a_pure_package_that_no_index_has_is_of_the_full_folder_too(session, lock, index):
    assert kinds(collect(session, lock, "onlythere")) == {"onlythere": "full"}


def test_what_nobody_has_is_an_error(session, lock, index):
    with pytest.raises(ProjectError, match="no wheel of nobody for Pyodide"):
        collect(session, lock, "nobody")


def test_excluded_packages_are_left_out(session, lock, index):
    wheel(index, "app", requires=["pip_less"])
    wheel(index, "pip_less")
    items = collect(session, lock, "app", exclude=["Pip.Less"])
    assert kinds(items) == {"app": "pure"}
    assert items[0].package.depends == ()


def test_offline_takes_what_was_resolved_before(session, lock, index):
    wheel(index, "app")
    offline = replace(session, offline=True)
    with pytest.raises(OfflineError, match="not in the store"):
        collect(offline, lock, "app")
    collect(session, lock, "app")
    (index / "app-1.0-py3-none-any.whl").unlink()
    assert kinds(collect(offline, lock, "app")) == {"app": "pure"}


def test_a_file_that_a_lock_names_otherwise_is_refused(session, lock, index):
    path = wheel(index, "app")
    text = (
        'lock-version = "1.0"\n[[packages]]\nname = "app"\nversion = "1.0"\n'
        f'wheels = [{{name = "{path.name}", path = "x", hashes = {{sha256 = "ab"}}}}]\n'
    )
    (session.project / "pylock.toml").write_text(text)
    with pytest.raises(IntegrityError, match="not the file that the lock file names"):
        collect(session, lock, "pylock.toml")
