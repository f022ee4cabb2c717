"""A kit's archives by the names of its plan: what is for this machine, and what fits it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.plan import Native
from pyodide_offline.kits.rack import Rack
from tests.unit.kits import racks

NATIVE = Native(product=("a.whl",))


def test_the_plan_is_that_of_this_machine_and_python(tmp_path):
    plan = racks.plan(NATIVE)
    assert racks.rack(tmp_path, [], plan).plan() == (plan, NATIVE)
    assert racks.rack(tmp_path, [], replace(plan, python="3.1")).plan() is None
    assert racks.rack(tmp_path, [], replace(plan, native={"aix-ppc": NATIVE})).plan() is None
    assert racks.rack(tmp_path, [], None).plan() is None


def test_a_plan_that_was_changed_is_not_followed(tmp_path):
    rack = racks.rack(tmp_path, [], racks.plan(NATIVE))
    (tmp_path / plans.FILE).write_bytes(plans.encode(racks.plan(Native())))
    assert rack.plan() is None


def test_a_plan_that_leads_out_is_refused(tmp_path):
    bad = racks.plan(replace(NATIVE, modules={"../x": "x@1.0.0"}))
    with pytest.raises(IntegrityError):
        racks.rack(tmp_path, [], bad).plan()


def test_archives_for_other_machines_are_not_there(tmp_path):
    path = tmp_path / "a.whl"
    path.write_bytes(b"a")
    ours = racks.item(path)
    others = replace(ours, targets=("aix-ppc",))
    assert Rack([ours], {ours.sha256: path}).have(["a.whl"])
    assert not Rack([others], {ours.sha256: path}).have(["a.whl"])
    assert not Rack([ours], {}).have(["a.whl"])
    assert not Rack([ours], {ours.sha256: path}).have([])


def test_jobs_name_archive_digest_and_place_the_largest_first(tmp_path):
    found = []
    for name, size in (("small", 1), ("@s/large", 9)):
        path = racks.tarball(tmp_path, name, "1.0.0", {"x": bytes(range(size)) * 99})
        found.append((path, racks.item(path, "npm", name, "1.0.0")))
    rack = racks.rack(tmp_path, found, None)
    places = {"node_modules/small": "small@1.0.0", "node_modules/b": "@s/large@1.0.0"}
    first, second = rack.modules(places, Path("/root"))
    assert (first.sha256, first.target) == (found[1][1].sha256, "/root/node_modules/b")
    assert (second.archive, second.form) == (str(found[0][0]), "npm")


def test_the_commands_of_wheels_go_into_the_environment(tmp_path):
    path = tmp_path / "a.whl"
    path.write_bytes(b"a")
    rack = racks.rack(tmp_path, [(path, racks.item(path))], None)
    (job,) = rack.wheels(["a.whl"], tmp_path / "site", environment=Path("/env"))
    assert (job.scripts, job.python, job.target) == (
        "/env/bin",
        "/env/bin/python",
        str(tmp_path / "site"),
    )
