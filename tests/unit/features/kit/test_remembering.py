"""The snapshot that a kit brings: made once, of the packages alone, never a reason to fail."""

import zlib
from dataclasses import replace

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.errors import WorkerdError
from pyodide_offline.features.kit import memory, rehearsal, remembering
from pyodide_offline.kits.plan import Native
from pyodide_offline.workers import placement, probe, project, schema, snapshot_maker
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from tests.unit.features.kit.test_pack import TOOLS
from tests.unit.kits import racks
from tests.unit.workers import test_snapshot


@pytest.fixture
def subject(session, monkeypatch):
    """A worker whose code is known and whose snapshot is made at once."""
    (session.project / "wrangler.toml").write_text("")
    (session.project / "entry.py").write_text("import starlette\n")

    def produce(target):
        target.write_bytes(b"bundle")
        return {}

    entry = session.store.fill("bundle", "b", produce)
    supplied = Supplied(Want("b", "", None), entry, "b", ())
    worker = project.Worker(session.project / "wrangler.toml", "entry.py", "2026-11-17", ())
    plan = racks.plan(Native(), inside=("x.whl",))
    monkeypatch.setattr(probe, "identify", lambda *_: of_bytes(b"workerd"))
    monkeypatch.setattr(schema, "checked", lambda _, path: path)
    monkeypatch.setattr(placement, "choose_folder", lambda session, _: session.cache_dir)
    monkeypatch.setattr(placement, "place", lambda *_: None)
    return rehearsal.Subject(worker, TOOLS, supplied, plan)


@pytest.fixture
def made(session, monkeypatch):
    """The recipes that were made."""
    recipes = []

    def make(session, job, _):
        recipes.append(job.recipe)

        def produce(target):
            target.write_bytes(b"memory")
            return {}

        return session.store.fill("snapshot", job.recipe.key, produce)

    monkeypatch.setattr(snapshot_maker, "make", make)
    monkeypatch.setattr(rehearsal, "code", lambda *_: test_snapshot.CODE)
    return recipes


def test_it_is_made_once_and_of_the_packages(session, subject, made, monkeypatch):
    (first,) = remembering.packed(session, subject, [])
    monkeypatch.setattr(rehearsal, "code", None)
    (second,) = remembering.packed(session, subject, [])
    assert [one.tier for one in made] == ["packages"]
    assert first == second
    assert first.item.name == made[0].key
    assert (first.item.kind, first.item.targets) == (memory.KIND, (racks.HERE,))
    assert zlib.decompress(first.path.read_bytes()) == b"memory"


def test_one_that_the_store_has_is_not_made_again(session, subject, made):
    (first,) = remembering.packed(session, subject, [])
    (entry,) = [one for one in session.store.entries() if one.kind == "kit-memory"]
    session.store.remove(entry)
    (second,) = remembering.packed(session, subject, [])
    assert len(made) == 1
    assert first == second


@pytest.mark.parametrize("changed", ["entry.py", "wrangler.toml"])
def test_what_decides_it_is_looked_at_again(session, subject, made, monkeypatch, changed):
    remembering.packed(session, subject, [])
    monkeypatch.setattr(rehearsal, "code", lambda *_: None)
    (session.project / changed).write_text("# other\n")
    assert remembering.packed(session, subject, []) == []


def test_that_there_can_be_none_is_remembered(session, subject, made, monkeypatch):
    monkeypatch.setattr(rehearsal, "code", lambda *_: None)
    assert remembering.packed(session, subject, []) == []
    monkeypatch.undo()
    monkeypatch.setattr(probe, "identify", lambda *_: of_bytes(b"workerd"))
    monkeypatch.setattr(rehearsal, "code", None)
    assert remembering.packed(session, subject, []) == []


def test_a_failure_is_said_and_tried_again(session, subject, made, progress, monkeypatch):
    def fail(*_):
        raise WorkerdError("wrangler did not start the worker.")

    with monkeypatch.context() as context:
        context.setattr(rehearsal, "code", fail)
        assert remembering.packed(session, subject, []) == []
    assert any("wrangler did not start" in line for line in progress.notes)
    assert len(remembering.packed(session, subject, [])) == 1


def test_without_known_packages_or_for_other_platforms_there_is_none(session, subject, made):
    plan = subject.plan
    for other in (replace(plan, inside=()), replace(plan, native={"beos-x64": Native()})):
        assert remembering.packed(session, replace(subject, plan=other), []) == []
    assert made == []
