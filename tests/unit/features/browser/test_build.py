"""A folder made of a small Pyodide and wheels in a folder; nothing in it is started."""

import hashlib
import json
from dataclasses import replace

import pytest

from pyodide_offline.errors import OfflineError, ProjectError, UnsupportedError
from pyodide_offline.features.browser import apps, build, folder
from pyodide_offline.features.browser.build import Options
from tests.peers.wheels import wheel
from tests.unit.features.browser.conftest import LOCK, RUNTIME, entry


def made(session, target, *asked, **options):
    chosen = Options(**options)
    return build.make(session, build.plan(session, asked, chosen), target, chosen)


def test_a_folder_holds_all_that_its_list_names(session, registry, index, tmp_path):
    wheel(index, "one", requires=["two"])
    wheel(index, "two")
    target = tmp_path / "a site"
    found = made(session, target, "one", title="Über <it>")
    assert folder.faults(folder.read(target)) == []
    lock = json.loads((target / "packages/pyodide-lock.json").read_text())
    assert {name: one["depends"] for name, one in lock["packages"].items()} == {
        "one": ["two"],
        "two": [],
    }
    about = folder.read(target).about
    assert about["load"] == ["one", "two"]
    assert about["pyodide"] == "314.0.7"
    assert set(about["wanted"]) <= set(found.files)
    assert set(about["kept"]) <= set(found.files)
    assert "<title>Über &lt;it&gt;</title>" in (target / "index.html").read_text()
    assert (target / "pyodide/pyodide.asm.wasm.br").is_file()


def test_the_same_again_gives_the_same_bytes_and_replaces_the_folder(
    session, registry, index, tmp_path
):
    wheel(index, "one")
    before = made(session, tmp_path / "site", "one")
    (tmp_path / "site" / "left.txt").write_text("")
    after = made(session, tmp_path / "site", "one")
    assert after == before
    assert not (tmp_path / "site" / "left.txt").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_a_foreign_folder_is_left_alone(session, registry, index, tmp_path):
    wheel(index, "one")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(ProjectError, match="browser build did not make it"):
        made(session, tmp_path / "mine", "one")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_the_folder_before_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target = tmp_path / "site"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(FileNotFoundError):
        build._publish(tmp_path / "none", target, tmp_path / "before")
    assert [path.name for path in target.iterdir()] == ["old"]


def test_nothing_is_written_where_a_package_is_missing(session, registry, index, tmp_path):
    with pytest.raises(ProjectError, match="Only Pyodide's full folder has: native"):
        made(session, tmp_path / "site", "native")
    assert not (tmp_path / "site").exists()


def test_wheels_may_be_called_zip(session, registry, index, tmp_path):
    wheel(index, "one")
    found = made(session, tmp_path / "site", "one", suffix=".zip")
    assert "packages/one-1.0-py3-none-any.zip" in found.files
    assert not [name for name in found.files if name.endswith(".whl")]
    lock = json.loads((tmp_path / "site/packages/pyodide-lock.json").read_text())
    assert lock["packages"]["one"]["file_name"] == "one-1.0-py3-none-any.zip"


def test_an_app_is_placed_with_its_bridge(session, registry, index, tmp_path):
    wheel(index, "datasette")
    data = tmp_path / "own.db"
    data.write_bytes(b"SQLite format 3\0")
    found = made(session, tmp_path / "site", app=apps.read("datasette", data=[data]))
    about = folder.read(tmp_path / "site").about
    assert about["place"]["data/own.db"] == "/folder/data/own.db"
    assert about["app"] == {"kind": "datasette", "data": ["/folder/data/own.db"]}
    assert "python/pyodide_folder/bridge.py" in found.files


def test_micropip_is_loaded_alone_beside_its_index(session, registry, index, tmp_path):
    wheel(index, "one")
    wheel(index, "micropip", requires=["packaging"])
    wheel(index, "packaging")
    found = made(session, tmp_path / "site", "one", micropip=True)
    about = folder.read(tmp_path / "site").about
    assert about["load"] == ["micropip", "packaging"]
    assert about["index"] == "simple/"
    assert "simple/one/index.html" in found.files


def test_remote_addresses_are_for_those_who_asked(session, registry, index, tmp_path):
    wheel(index, "one")
    for allowed in (False, True):
        made(session, tmp_path / "site", "one", allow_remote=allowed)
        assert (
            "connect-src 'self' https:" in (tmp_path / "site/index.html").read_text()
        ) is allowed


@pytest.mark.parametrize("version", ["0.29.5", "latest"])
def test_an_older_pyodide_alone_is_refused(session, version):
    with pytest.raises(UnsupportedError, match=version):
        build.plan(session, ["x"], Options(pyodide=version))


def test_an_older_one_takes_parts_of_python_from_its_full_folder(
    session, registry, index, tmp_path
):
    full = tmp_path / "full"
    full.mkdir()
    (full / "sqlite3-1.0-x.whl").write_bytes(b"it")
    (full / "libssl.zip").write_bytes(b"it")
    digest = hashlib.sha256(b"it").hexdigest()
    part = {"kind": "cpython_module", "file_name": "sqlite3-1.0-x.whl", "depends": ["libssl"]}
    entries = {
        "sqlite3": {**entry("sqlite3", **part), "sha256": digest},
        "libssl": {
            **entry("libssl", kind="shared_library", file_name="libssl.zip"),
            "sha256": digest,
        },
        "test": entry("test", kind="cpython_module"),
    }
    lock = {"info": {**LOCK["info"], "python": "3.13.2"}, "packages": entries}
    runtime = {**RUNTIME, "pyodide-lock.json": json.dumps(lock).encode()}
    runtime["pyodide.asm.js"] = runtime.pop("pyodide.asm.mjs")
    registry.add("pyodide", "0.29.5", files={f"package/{n}": data for n, data in runtime.items()})
    wheel(index, "one")
    made(session, tmp_path / "site", "one", pyodide="0.29.5", full_dir=full)
    about = folder.read(tmp_path / "site").about
    assert about["load"] == ["one", "sqlite3"]
    assert about["modules"] == ["pyodide/pyodide.mjs", "pyodide/pyodide.asm.js"]
    assert (tmp_path / "site/packages/libssl.zip").read_bytes() == b"it"


def test_offline_with_an_empty_store_makes_no_request(session, registry, index):
    with pytest.raises(OfflineError):
        build.plan(replace(session, offline=True), ["x"], Options())
    assert registry.paths() == []
