"""A kit's plan: written, read, and refused where it would lead out."""

import json

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.plan import Native, Plan

NATIVE = Native(("a.whl",), ("b.whl",), ("n.whl",), ("c.whl",), {"node_modules/@s/a": "@s/a@1.0.0"})
PLAN = Plan("3.11", {"linux-x64": NATIVE}, "3.14", ("c.whl",), (), (("want", "key", {"id": "x"}),))


def test_what_was_written_is_read():
    assert plans.decode(plans.encode(PLAN)) == PLAN
    assert plans.encode(PLAN) == plans.encode(PLAN)


def test_a_later_releases_plan_counts_as_none():
    record = {**json.loads(plans.encode(PLAN)), "format": plans.FORMAT + 1}
    assert plans.decode(json.dumps(record).encode()) is None


@pytest.mark.parametrize(
    "place",
    ["node_modules/../x", "/node_modules/x", "x", "node_modules//x", "node_modules/a\\b", ""],
)
def test_a_place_that_leads_out_is_refused(place):
    record = json.loads(plans.encode(PLAN))
    record["native"]["linux-x64"]["modules"] = {place: "x@1.0.0"}
    with pytest.raises(IntegrityError, match="plan cannot be used"):
        plans.decode(json.dumps(record).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "x"}', b"[" * 100_000])
def test_what_is_no_plan_is_refused(data):
    with pytest.raises(IntegrityError, match="plan cannot be used"):
        plans.decode(data)


def test_machines_are_named_as_targets_are():
    assert plans.target("linux", "x86_64") == plans.target("linux", "AMD64") == "linux-x64"
    assert plans.target("darwin", "arm64") == "darwin-arm64"


def test_the_plan_is_found_among_other_items():
    one = Item(plans.KIND, plans.NAME, "", plans.FILE, 1, "0" * 64)
    other = Item("npm", "plan", "1.0.0", "plan-1.0.0.tgz", 1, "1" * 64)
    assert plans.item([other, one]) == one
    assert plans.item([other]) is None
