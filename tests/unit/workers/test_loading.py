"""Bundles for workers that are loaded at run time."""

from pyodide_offline.errors import OfflineError
from pyodide_offline.workers import loading
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from tests.peers import miniflare

LOADER = miniflare.message(
    ("core:user:front", "2026-11-17", ("experimental",), "index.js"),
    bindings=[("LOADER", "workerLoader")],
)


def supplier_of(session, bundle_id):
    def produce(target):
        target.write_bytes(b"a bundle")
        return {}

    def supply(date, flags, *, renew=False):
        assert (date, flags, renew) == ("2026-11-17", ("python_workers",), False)
        entry = session.store.fill("bundle", bundle_id, produce)
        return Supplied(Want("2026", "", None), entry, bundle_id, ())

    return supply


def test_an_official_bundle_needs_no_word(session):
    found, notes = loading.supply(LOADER, miniflare.SCHEMA, supplier_of(session, "2026"))
    assert [one.bundle_id for one in found.values()] == ["2026"]
    assert notes == []


def test_with_an_assembled_one_the_ways_out_are_said(session):
    found, notes = loading.supply(LOADER, miniflare.SCHEMA, supplier_of(session, "dev"))
    assert [one.bundle_id for one in found.values()] == ["dev"]
    (note,) = notes
    assert "that front loads at run time" in note
    assert "prefetch --from FILE" in note
    assert "python_workers_development" in note


def test_without_any_the_worker_starts_and_the_reason_is_said(session):
    def supplier(date, flags, *, renew=False):
        raise OfflineError("Bundle 2026 is not in the store.")

    found, notes = loading.supply(LOADER, miniflare.SCHEMA, supplier)
    assert found == {}
    assert notes == [
        "Python workers that front loads at run time will fail: Bundle 2026 is not in the store."
    ]


def test_miniflares_own_entry_is_passed_over(session):
    entry = ("core:entry", "2025-03-17", (), "entry.worker.js")
    message = miniflare.message(entry, bindings=[("LOADER", "workerLoader")])
    assert loading.supply(message, miniflare.SCHEMA, supplier_of(session, "2026")) == ({}, [])


def test_a_worker_that_loads_none_costs_nothing(session):
    message = miniflare.message(("core:user:js", "2026-11-17", (), "index.js"))
    assert loading.supply(message, miniflare.SCHEMA, supplier_of(session, "2026")) == ({}, [])
