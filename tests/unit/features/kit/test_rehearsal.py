"""What wrangler would send: of a copy without bindings, heard in workerd's place."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import WorkerdError
from pyodide_offline.features.kit import rehearsal
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits.plan import Native
from pyodide_offline.workers import config, project, schema, shim
from pyodide_offline.workers.config import Code
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import freshness
from tests.peers import wheels
from tests.unit.features.kit.test_pack import TOOLS
from tests.unit.kits import racks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="local sockets")
SETTINGS = {
    "name": "mine",
    "main": "src/entry.py",
    "compatibility_date": "2026-11-17",
    "vars": {"TOKEN": "s3cret"},
    "build": {"command": "touch built"},
    "python_modules": {"exclude": ["**/x.py"]},
}


@pytest.fixture
def subject(session, tmp_path):
    """A worker with a package, and a wrangler that shows how it is started."""
    root = session.project
    for name in ("src/entry.py", "src/a/b.py", "src/.venv/c.py", "src/node_modules/d.py", "e.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "src" / ".dev.vars").write_text("TOKEN=s3cret")
    (root / "wrangler.json").write_text(json.dumps(SETTINGS))
    worker = project.read(root)
    wheel = wheels.wheel(tmp_path, "starlette")
    found = [racks_archive(wheel)]
    plan = racks.plan(Native(), series="3.14", inside=(wheel.name,))
    return rehearsal.Subject(worker, TOOLS, supplied(session), plan), found


def racks_archive(path):
    return Archive(racks.item(path), path)


def supplied(session):
    def produce(target):
        target.write_bytes(b"bundle")
        return {}

    entry = session.store.fill("bundle", "b", produce)
    return Supplied(Want("b", "", None), entry, "b", ("a_flag",))


def wrangler(tmp_path: Path, subject, script: str):
    """Return the subject with a Node that is a shell script."""
    path = tmp_path / "node"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    tools = replace(TOOLS, node=replace(TOOLS.node, executable=path))
    return replace(subject, tools=tools)


def test_the_copy_has_what_decides_about_modules_and_nothing_else(
    session, tmp_path, subject, monkeypatch
):
    seen = tmp_path / "seen"
    mark = shim.MARK.decode()
    script = (
        f'cp -r . "{seen}"; printf "before {mark}" | "$MINIFLARE_WORKERD_PATH" serve --binary -'
    )
    messages = []

    def only_code(message, _):
        messages.append(message)
        return Code("", (), ())

    monkeypatch.setattr(schema, "checked", lambda _, path: path)
    monkeypatch.setattr(
        config, "rewrite", lambda message, _, decide: message + repr(decide(0)).encode()
    )
    monkeypatch.setattr(config, "only_code", only_code)
    one, found = subject
    assert rehearsal.code(session, wrangler(tmp_path, one, script), found) == Code("", (), ())
    assert messages == [f"before {mark}('a_flag',)".encode()]
    files = {path.relative_to(seen).as_posix() for path in seen.rglob("*") if path.is_file()}
    own = {name for name in files if not name.startswith(("python_modules/", ".venv-workers/"))}
    assert own == {"src/entry.py", "src/a/b.py", "wrangler.json"}
    vendored = "python_modules"
    assert {f"{vendored}/starlette.py", f"{vendored}/pyvenv.cfg"} <= files
    assert (seen / vendored / freshness.TOKEN).read_text() == "1.17.9"
    assert "s3cret" not in (seen / "wrangler.json").read_text()
    assert json.loads((seen / "wrangler.json").read_text()) == {
        "name": "memory",
        "main": "src/entry.py",
        "compatibility_date": "2026-11-17",
        "compatibility_flags": [],
        "python_modules": {"exclude": ["**/x.py"]},
    }


def test_a_wrangler_that_ends_is_an_error(session, tmp_path, subject):
    one, found = subject
    with pytest.raises(WorkerdError, match="did not start"):
        rehearsal.code(session, wrangler(tmp_path, one, "exit 1"), found)


def test_modules_seen_from_another_folder_are_not_guessed(session, subject):
    one, found = subject
    (session.project / "wrangler.json").write_text(json.dumps({**SETTINGS, "base_dir": "."}))
    assert rehearsal.code(session, one, found) is None
    worker = replace(one.worker, main="../entry.py")
    assert rehearsal.code(session, replace(one, worker=worker), found) is None
