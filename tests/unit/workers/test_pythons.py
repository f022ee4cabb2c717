"""Which Pythons a binary offers."""

import pytest

from pyodide_offline.workers import probe, pythons
from tests.peers import workerd
from tests.peers.workerd import Setup

OLDEST, OLD, NEW = "2025-01-01", "2025-11-02", "2026-11-17"
BY_FLAG = {
    "python_workers_20250116": "0.28.2_2025-01-16_22",
    "python_workers_314": "314.0.6_2026-08-17_11",
}
FLAGS = ("python_workers",)


def test_every_bundle_is_found_by_dates(tmp_path, store):
    fake = workerd.make(tmp_path, Setup(flags=("python_workers",)))
    found = pythons.every(store, fake.path, NEW)
    assert {one.want.bundle_id for one in found} == {Setup().id, Setup().old_id}
    for one in found:
        assert probe.want(store, fake.path, one.date, one.flags) == one.want


@pytest.mark.parametrize("switch", ["2024-01-02", "2025-07-04", "2026-11-17"])
def test_wherever_the_switch_is(tmp_path, store, switch):
    fake = workerd.make(tmp_path, Setup(flags=("python_workers",), switch=switch))
    assert len(pythons.every(store, fake.path, NEW)) == 2


def test_a_bundle_that_only_a_flag_chooses_is_found(tmp_path, store):
    third = {"python_workers_314": "314.0.4_2026-06-10_22"}
    fake = workerd.make(tmp_path, Setup(choosing=third))
    found = {one.want.bundle_id: one.flags for one in pythons.every(store, fake.path, NEW)}
    assert len(found) == 3
    assert found["314.0.4_2026-06-10_22"] == ("python_workers", "python_workers_314")


@pytest.mark.parametrize(
    ("date", "python", "added"),
    [
        (NEW, "314.0.6", ()),
        (OLD, "314.0.6", ("python_workers_314",)),
        (NEW, "0.28.", ("python_workers_20250116",)),
        (NEW, "0.26.", None),
    ],
)
def test_the_flag_that_chooses_is_found(tmp_path, store, date, python, added):
    fake = workerd.make(tmp_path, Setup(choosing=BY_FLAG))
    assert pythons.choosing(store, fake.path, date, FLAGS, [python]) == added


def test_the_first_that_fits_is_preferred(tmp_path, store):
    two = {"python_workers_20250116": "314.0.4_1", "python_workers_314": "314.0.6_1"}
    fake = workerd.make(tmp_path, Setup(choosing=two))
    chosen = pythons.choosing(store, fake.path, OLD, FLAGS, ["314.0.6", "314."])
    assert chosen == ("python_workers_314",)
