"""What the shim is told."""

from pathlib import Path

import pytest

from pyodide_offline import paths
from pyodide_offline.errors import ToolchainError
from pyodide_offline.workers import answer, shim
from pyodide_offline.workers.probe import DEVELOPMENT_FLAG, Want
from pyodide_offline.workers.supply import Supplied
from tests.peers import miniflare

NEW = ("core:user:new", "2026-11-17", ("python_workers",), "entry.py")
SCRIPT = ("core:user:js", "2026-11-17", (), "index.js")
OFFICIAL = ("core:user:official", "2026-12-01", ("python_workers",), "entry.py")


def folder_of(found):
    (argument,) = found.arguments
    return Path(argument.removeprefix(shim.FLAG))


@pytest.fixture
def supplier(session):
    """An assembled bundle for 2026-11, an official one for 2026-12."""

    def supply(date, flags, *, renew=False):
        def produce(target):
            target.write_bytes(date.encode())
            return {}

        assembled = date < "2026-12"
        entry = session.store.fill("bundle", date, produce)
        flags = (DEVELOPMENT_FLAG,) if assembled else ()
        return Supplied(Want(date, "", None), entry, "dev" if assembled else date, flags)

    return supply


def test_an_assembled_bundle_gets_flag_and_folder(session, supplier):
    found = answer.answer(session, miniflare.SCHEMA, miniflare.message(NEW, SCRIPT), supplier)
    assert miniflare.flags(found.message)["core:user:new"] == ["python_workers", DEVELOPMENT_FLAG]
    assert miniflare.flags(found.message)["core:user:js"] == []
    assert (folder_of(found) / "pyodide_dev.capnp.bin").read_bytes() == b"2026-11-17"
    assert len(found.supplied) == 1


def test_an_official_bundle_needs_no_flag(session, supplier):
    message = miniflare.message(OFFICIAL)
    found = answer.answer(session, miniflare.SCHEMA, message, supplier)
    assert found.message is message
    assert folder_of(found) == session.cache_dir
    assert (session.cache_dir / "pyodide_2026-12-01.capnp.bin").is_file()


def test_official_and_assembled_side_by_side_share_the_folder(session, supplier):
    found = answer.answer(session, miniflare.SCHEMA, miniflare.message(NEW, OFFICIAL), supplier)
    names = sorted(path.name for path in folder_of(found).iterdir())
    assert names == ["pyodide_2026-12-01.capnp.bin", "pyodide_dev.capnp.bin"]


def test_without_python_there_is_still_a_folder(session, supplier):
    # A JavaScript worker may load a Python one at run time.
    found = answer.answer(session, miniflare.SCHEMA, miniflare.message(SCRIPT), supplier)
    assert folder_of(found) == session.cache_dir


def test_a_worker_that_loads_others_gets_a_bundle_into_the_folder(session, supplier):
    # Its code names the flag of the workers that it loads; here the binding does.
    message = miniflare.message(SCRIPT, bindings=[("python_workers", "workerLoader")])
    found = answer.answer(session, miniflare.SCHEMA, message, supplier)
    assert found.message is message
    assert (folder_of(found) / "pyodide_dev.capnp.bin").read_bytes() == b"2026-11-17"
    assert "js loads at run time get only the official bundle" in found.notes[0]


def test_beside_a_python_worker_a_loader_gets_what_that_one_has(session, supplier):
    later = ("core:user:js", "2026-12-01", (), "index.js")
    message = miniflare.message(later, NEW, bindings=[("LOADER", "workerLoader")])
    found = answer.answer(session, miniflare.SCHEMA, message, supplier)
    assert [path.name for path in folder_of(found).iterdir()] == ["pyodide_dev.capnp.bin"]
    assert found.notes == ()


def test_requests_are_led_where_that_is_wanted_and_no_bundle_is_made_for_it(session):
    def nothing(date, flags, *, renew=False):
        raise AssertionError

    message = miniflare.message(SCRIPT, bindings=[("LOADER", "workerLoader")])
    found = answer.answer(
        session, miniflare.SCHEMA, message, nothing, internet=lambda _: "unix:/fetch"
    )
    assert miniflare.external(found.message)["internet"] == ("unix:/fetch", "proxy")
    assert folder_of(found) == session.cache_dir


def test_alone_takes_store_and_folder_from_the_environment(tmp_path, monkeypatch):
    binary = tmp_path / "node_modules" / "@cloudflare" / "workerd-linux-64" / "bin" / "workerd"
    schema = tmp_path / "node_modules" / "workerd" / "workerd.capnp"
    for path in (binary, schema):
        path.parent.mkdir(parents=True)
    schema.write_text(miniflare.SCHEMA.read_text())
    environ = {paths.STORE_VARIABLE: str(tmp_path / "s"), paths.CACHE_VARIABLE: str(tmp_path / "c")}
    found = answer.alone(str(binary), miniflare.message(SCRIPT), environ)
    assert folder_of(found) == tmp_path / "c"


def test_a_binary_without_its_schema_is_an_error(tmp_path):
    with pytest.raises(ToolchainError, match=r"no workerd\.capnp beside it"):
        answer.schema_beside(tmp_path / "bin" / "workerd")
