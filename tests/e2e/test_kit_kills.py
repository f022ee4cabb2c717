"""A kit's start, killed at random moments; benchmarks/kit_kills.py does it often."""

from pathlib import Path

import pytest

from tests.e2e import kits
from tests.e2e.conftest import Machine
from tests.peers.kit_kills import Packing, Taking
from tests.peers.wrangler import copy_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_packing_and_a_first_start_that_are_killed_are_finished_by_the_next(
    machine: Machine, tmp_path: Path
) -> None:
    project = copy_example("starlette", tmp_path / "here" / "a project")
    packed = kits.packed(machine, project)
    packing = Packing(tmp_path / "pack", project, packed.secret, machine.env, seed=4)
    starting = Taking(tmp_path / "run", packed.file, packed.key, seed=4)
    for killing in (packing, starting):
        try:
            for number in range(6):
                killing.strike(alone=number % 2 == 0)
            assert killing.differing() == []
        finally:
            left = killing.close()
        assert left == []
        assert killing.kills == 6
