"""The fake that other tests use holds to the same rules as the real depots."""

import asyncio
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.names import ref_key
from tests.peers import depot_rules
from tests.peers.depots import MemoryDepot


def test_the_memory_depot_holds_to_the_rules(tmp_path: Path) -> None:
    depot: Depot = MemoryDepot()
    asyncio.run(depot_rules.holds(depot, tmp_path))
    asyncio.run(depot_rules.one_wins(MemoryDepot()))


def test_a_depot_that_is_down_says_so() -> None:
    depot = MemoryDepot()
    depot.down = True
    with pytest.raises(DepotDownError):
        asyncio.run(depot.get(ref_key("npm", "x")))
