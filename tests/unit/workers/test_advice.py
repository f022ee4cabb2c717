"""What is said before the worker starts."""

import os

import pytest

from pyodide_offline.errors import UnsupportedError
from pyodide_offline.workers import advice, imports, supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.project import Worker
from pyodide_offline.workers.supply import Supplied


@pytest.fixture
def worker(session):
    (session.project / "src").mkdir()
    (session.project / "src" / "entry.py").write_text("import sqlite3\n")
    return Worker(session.project / "wrangler.toml", "src/entry.py", "2025-11-02", ())


@pytest.fixture
def supplied(session):
    def produce(target):
        target.write_bytes(b"bundle")
        return {"source": "npm", "python": "3.13.2", "lacks": ["sqlite3", "ssl"]}

    entry = session.store.fill("bundle", "b", produce)
    return Supplied(Want("0.28.2_1", "", None), entry, "dev", ())


@pytest.fixture
def newer(monkeypatch):
    """Whether the binary has a newer Python."""
    offered = [True]

    def choosing(session, binary, date, flags, python):
        if not offered[0]:
            raise UnsupportedError("no")
        return ("python_workers_314",)

    monkeypatch.setattr(supply, "choosing", choosing)
    return offered


def said(session, worker, supplied):
    return list(advice.of(session, session.project / "workerd", worker, supplied))


def test_what_is_missing_is_said_with_the_ways_out(session, worker, supplied, newer):
    (sentence,) = said(session, worker, supplied)
    assert "no sqlite3 (imported by src/entry.py)" in sentence
    assert "--bundle official" in sentence
    assert "--python 3.14" in sentence
    assert "ssl" not in sentence


def test_another_python_is_named_only_where_there_is_one(session, worker, supplied, newer):
    newer[0] = False
    assert "--python" not in said(session, worker, supplied)[0]


def test_nothing_is_said_of_a_worker_that_needs_none_of_it(session, worker, supplied, newer):
    (session.project / "src" / "entry.py").write_text("import json\n")
    assert said(session, worker, supplied) == []


def test_it_is_read_once(session, worker, supplied, newer, monkeypatch):
    first = said(session, worker, supplied)
    monkeypatch.setattr(imports, "imported", lambda *_: pytest.fail("read again"))
    assert said(session, worker, supplied) == first


def test_a_changed_entry_is_read_again(session, worker, supplied, newer):
    assert said(session, worker, supplied)
    entry = session.project / "src" / "entry.py"
    entry.write_text("import json\n")
    os.utime(entry, (1, 1))
    assert said(session, worker, supplied) == []


def test_a_stub_of_pydantic_is_named(session, worker, supplied, newer):
    (session.project / "src" / "entry.py").write_text("")
    (session.project / "python_modules" / "pydantic_core-0.0.1.dist-info").mkdir(parents=True)
    (sentence,) = said(session, worker, supplied)
    assert "pydantic-core 0.0.1" in sentence
    assert "2026-09-08" in sentence
