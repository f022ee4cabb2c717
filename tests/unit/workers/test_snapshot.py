"""Which snapshot may serve which code: in doubt none."""

import json

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.workers import snapshot, snapshot_packages
from pyodide_offline.workers.config import Code

BINARY, BUNDLE = digests.of_bytes(b"workerd"), digests.of_bytes(b"bundle")
ENTRY = ("entry.py", "pythonModule", b"from starlette.applications import Starlette\napp = 1\n")
OWN_MODULE = ("pages.py", "pythonModule", b"TEXT = 'old'\n")
RECORD = (
    b"workers/__init__.py,sha256=x,1\n_patch.pth,,\nworkers_runtime_sdk-1.9.5.dist-info/RECORD,,\n"
)
SDK = (
    ("python_modules/_patch.pth", "data", b"import _patch\n"),
    ("python_modules/workers/__init__.py", "data", b"from .utils import import_from_javascript\n"),
    ("python_modules/workers_runtime_sdk-1.9.5.dist-info/RECORD", "data", RECORD),
)
LIBRARY = ("python_modules/starlette/__init__.py", "data", b"version = 1\n")
CODE = Code(
    "2026-11-17",
    ("python_workers", "python_workers_development"),
    (ENTRY, OWN_MODULE, *SDK, LIBRARY),
    (("DB", "wrapped"),),
)


def with_modules(*modules):
    return Code(CODE.date, CODE.flags, modules, CODE.bindings)


def replaced(name, content):
    return with_modules(
        *((n, form, content if n == name else data) for n, form, data in CODE.modules)
    )


@pytest.fixture
def keys(session):
    def of(code, binary=BINARY, bundle=BUNDLE):
        found = snapshot.recipes(session.store, code, binary, bundle)
        return {one.tier: one.key for one in found}

    return of


def test_the_same_code_has_the_same_keys(keys):
    assert keys(CODE) == keys(with_modules(*CODE.modules))
    assert list(keys(CODE)) == ["own", "packages", "neutral"]


@pytest.mark.parametrize(
    "changed",
    [
        replaced("entry.py", b"app = 2\n"),
        replaced("pages.py", b"TEXT = 'new'\n"),
        replaced("python_modules/starlette/__init__.py", b"version = 2\n"),
        with_modules(*CODE.modules, ("more.py", "pythonModule", b"")),
        with_modules(*CODE.modules[:1], *CODE.modules[2:]),
        with_modules(OWN_MODULE, ENTRY, *CODE.modules[2:]),
        Code(CODE.date, CODE.flags, CODE.modules, (("KV", "kvNamespace"),)),
    ],
    ids=["entry", "module", "dependency", "added", "removed", "order", "binding"],
)
def test_any_change_of_code_misses_the_own_one_and_keeps_the_neutral_one(keys, changed):
    before, after = keys(CODE), keys(changed)
    assert after["own"] != before["own"]
    assert after["neutral"] == before["neutral"]


@pytest.mark.parametrize(
    "changed",
    [
        replaced("entry.py", ENTRY[2] + b"app = 2\n"),
        replaced("pages.py", b"TEXT = 'new'\n"),
        with_modules(*CODE.modules, ("more.py", "pythonModule", b"")),
        Code(CODE.date, CODE.flags, CODE.modules, (("KV", "kvNamespace"),)),
    ],
    ids=["entry", "module", "added", "binding"],
)
def test_an_edit_of_own_modules_keeps_the_one_of_packages(keys, changed):
    assert keys(changed)["packages"] == keys(CODE)["packages"]


@pytest.mark.parametrize(
    "changed",
    [
        replaced("python_modules/starlette/__init__.py", b"version = 2\n"),
        replaced("entry.py", b"import asyncio\n" + ENTRY[2]),
        with_modules(*CODE.modules, ("python_modules/more.py", "data", b"")),
    ],
    ids=["dependency", "import", "added dependency"],
)
def test_a_change_of_packages_or_of_what_is_imported_misses_that_one(keys, changed):
    assert keys(changed)["packages"] != keys(CODE)["packages"]


def test_the_worker_for_packages_holds_them_all_and_nothing_of_the_users():
    code = snapshot.packages_code(CODE)
    assert code is not None
    (name, form, source), *rest = code.modules
    assert (name, form) == ("pyodide_offline_neutral_entry.py", "pythonModule")
    assert source.startswith(b"from starlette.applications import Starlette\n")
    assert {name for name, _, _ in rest} == {name for name, _, _ in (*SDK, LIBRARY)}


def test_a_package_that_looks_for_own_modules_rules_the_one_of_packages_out(keys):
    changed = replaced("python_modules/starlette/__init__.py", b"import pages\n")
    assert list(keys(changed)) == ["own", "neutral"]


@pytest.mark.parametrize(
    "changed",
    [
        Code("2026-11-16", CODE.flags, CODE.modules),
        Code(CODE.date, (*CODE.flags, "nodejs_compat"), CODE.modules),
        replaced("python_modules/workers/__init__.py", b"# another SDK"),
        replaced("python_modules/_patch.pth", b"import other\n"),
    ],
    ids=["date", "flags", "sdk", "pth of the sdk"],
)
def test_date_flags_and_sdk_count_for_both(keys, changed):
    assert not set(keys(CODE).values()) & set(keys(changed).values())


def test_binary_and_bundle_count_for_both(keys):
    other = digests.of_bytes(b"other")
    assert not set(keys(CODE).values()) & set(keys(CODE, binary=other).values())
    assert not set(keys(CODE).values()) & set(keys(CODE, bundle=other).values())


def test_the_order_of_flags_does_not_count(keys):
    assert keys(Code(CODE.date, CODE.flags[::-1], CODE.modules, CODE.bindings)) == keys(CODE)


def test_a_pth_file_of_others_rules_the_neutral_one_out(keys):
    code = with_modules(*CODE.modules, ("python_modules/other.pth", "data", b"import other\n"))
    assert list(keys(code)) == ["own", "packages"]


def test_without_the_sdk_there_is_no_neutral_one(keys):
    assert list(keys(with_modules(ENTRY))) == ["own"]


def test_the_neutral_worker_holds_the_sdk_and_nothing_of_the_users():
    code = snapshot.neutral_code(CODE)
    assert code is not None
    names = [name for name, _, _ in code.modules]
    assert names[0] == "pyodide_offline_neutral_entry.py"
    assert set(names[1:]) == {name for name, _, _ in SDK}
    assert (code.date, code.flags) == (CODE.date, CODE.flags)


@pytest.mark.parametrize(
    "source",
    [
        "from workers import env",
        "from workers import (\n    Response,\n    env as e,\n)",
        "from workers import *",
        "import workers\nDB = workers.env.DB",
        "from workers import import_from_javascript",
        "import js",
        "import js.console",
        "from js import fetch",
        "def f():\n    from workers import env",
        "this does not parse (",
    ],
)
def test_code_that_may_look_at_bindings_gets_no_own_one(keys, source):
    assert list(keys(replaced("pages.py", source.encode()))) == ["packages", "neutral"]


@pytest.mark.parametrize(
    "source", ["from workers import Response", "class A:\n    def f(self):\n        self.env.DB"]
)
def test_bindings_of_a_request_do_not_matter(keys, source):
    assert "own" in keys(replaced("pages.py", source.encode()))


def test_a_dependency_that_looks_at_bindings_counts_too_and_the_sdk_does_not(keys):
    name = "python_modules/starlette/__init__.py"
    assert "own" in keys(CODE)
    assert list(keys(replaced(name, b"from workers import env\n"))) == ["neutral"]


def kept(session, key, content=b"snapshot"):
    def produce(target):
        target.write_bytes(content)
        return {}

    return session.store.fill(snapshot.KIND, key, produce)


def test_the_best_one_in_the_store_is_found(session):
    recipes = list(snapshot.recipes(session.store, CODE, BINARY, BUNDLE))
    assert snapshot.find(session.store, recipes) is None
    kept(session, recipes[2].key, b"neutral")
    found = snapshot.find(session.store, recipes)
    assert found is not None
    assert found[0].tier == "neutral"
    kept(session, recipes[0].key, b"own")
    found = snapshot.find(session.store, recipes)
    assert found is not None
    assert found[0].tier == "own"


@pytest.mark.parametrize("damage", [b"snap", b"", b"snapshoT"])
def test_a_damaged_one_is_dropped_and_the_next_taken(session, damage):
    own, _, neutral = snapshot.recipes(session.store, CODE, BINARY, BUNDLE)
    entry = kept(session, own.key)
    kept(session, neutral.key, b"neutral")
    entry.path.chmod(0o600)
    entry.path.write_bytes(damage)
    found = snapshot.find(session.store, [own, neutral])
    assert found is not None
    assert found[0] == neutral
    assert session.store.find(snapshot.KIND, own.key) is None


def test_workerd_is_given_folder_and_name(session):
    entry = kept(session, "key")
    folder, name = snapshot.arguments(entry)
    assert folder == f"--python-snapshot-dir={entry.path.parent}"
    assert name == f"--python-load-snapshot={entry.path.name}"


def test_only_so_many_are_kept_and_the_least_used_goes_first(session, monkeypatch):
    monkeypatch.setattr(snapshot, "KEPT", 2)
    entries = [kept(session, name, name.encode()) for name in ("a", "b", "c")]
    used = {"a": 3.0, "b": 1.0, "c": 2.0}
    assert [one.name for one in snapshot.surplus(entries, used)] == ["b"]


def test_only_so_many_bytes_are_kept(session, monkeypatch):
    monkeypatch.setattr(snapshot, "KEPT_BYTES", 10)
    entries = [kept(session, name, name.encode() * 6) for name in ("a", "b")]
    assert [one.name for one in snapshot.surplus(entries, {"a": 2.0, "b": 1.0})] == ["b"]


def test_other_entries_are_never_surplus(session, monkeypatch):
    monkeypatch.setattr(snapshot, "KEPT", 0)
    bundle = session.store.fill("bundle", "b", lambda target: target.write_bytes(b"x") and {})
    assert snapshot.surplus([bundle], {}) == []


def header(kind):
    text = json.dumps({"settings": {"snapshotType": kind}}).encode()
    sizes = (2).to_bytes(4, "little") + (999).to_bytes(4, "little")
    return b"\0snp" + sizes + len(text).to_bytes(4, "little") + text + bytes(100)


@pytest.mark.parametrize("kind", ["dedicated", "baseline"])
def test_the_header_tells_the_kind(tmp_path, kind):
    (tmp_path / "s").write_bytes(header(kind))
    assert snapshot.kind_of(tmp_path / "s") == kind


@pytest.mark.parametrize("data", [b"", b"\0snp", b"other", header("dedicated")[:30]])
def test_what_is_no_snapshot_has_no_kind(tmp_path, data):
    (tmp_path / "s").write_bytes(data)
    assert snapshot.kind_of(tmp_path / "s") is None
    assert snapshot.kind_of(tmp_path / "none") is None


def test_what_a_project_was_last_started_from_is_read_ahead(session, monkeypatch):
    recipes = list(snapshot.recipes(session.store, CODE, BINARY, BUNDLE))
    entries = [kept(session, recipe.key, recipe.tier.encode()) for recipe in recipes]
    for recipe in recipes:
        snapshot.use(session.store, session.project, recipe)
    snapshot.foresee(session.store, session.project)
    monkeypatch.setattr(digests, "of_file", None)
    assert all(session.store.intact(entry) for entry in entries)


def test_without_a_last_snapshot_there_is_nothing_to_read(session):
    snapshot.foresee(session.store, session.project)
    recipe = next(snapshot.recipes(session.store, CODE, BINARY, BUNDLE))
    session.store.remove(kept(session, recipe.key))
    snapshot.use(session.store, session.project, recipe)
    snapshot.foresee(session.store, session.project)


def test_what_serves_the_next_edit_is_made_first(session):
    recipes = list(snapshot.recipes(session.store, CODE, BINARY, BUNDLE))

    def order(*chosen):
        return [one.tier for one in snapshot.in_order_of_making(chosen)]

    own, packages, neutral = recipes
    assert order(own, packages, neutral) == ["packages", "own", "neutral"]
    assert order(own, neutral) == ["neutral", "own"]
    assert order(own) == ["own"]
    assert order() == []


def test_packages_are_read_through_once(session, monkeypatch):
    first = list(snapshot.recipes(session.store, CODE, BINARY, BUNDLE))
    monkeypatch.setattr(snapshot_packages, "apart", None)
    assert list(snapshot.recipes(session.store, CODE, BINARY, BUNDLE)) == first


def test_where_a_project_lies_decides_its_own_snapshot_alone(keys):
    def lying(folder):
        text = f"export const x = 1;\n//# sourceURL=file://{folder}/flows.js\n".encode()
        return with_modules(*CODE.modules, ("python_modules/workers/flows.js", "esModule", text))

    here, there = keys(lying("/here")), keys(lying("/a%20place"))
    assert (here["packages"], here["neutral"]) == (there["packages"], there["neutral"])
    assert here["own"] != there["own"]
