"""What a depot holds, counted."""

import asyncio

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.census import Census
from pyodide_offline.features.mirror.folder import FolderDepot


def test_contents_and_names_are_counted(tmp_path):
    async def play():
        depot = FolderDepot(tmp_path)
        for number in range(3):
            await depot.create(names.blob_key("sha256", f"{number:064x}"), b"x" * 10)
        await depot.create(names.ref_key("npm", "left-pad"), b"{}")
        await depot.create(names.ref_key("pins/npm", "left-pad"), b"{}")
        return await Census(depot).count()

    count = asyncio.run(play())
    assert count is not None
    assert (count.blobs, count.size) == (3, 30)
    assert count.names == {"npm": 1, "pins": 1}


def test_it_is_taken_again_only_when_old(tmp_path):
    async def play():
        depot = FolderDepot(tmp_path)
        census = Census(depot)
        first = await census.count()
        await depot.create(names.ref_key("npm", "left-pad"), b"{}")
        assert await census.count() is first
        census = Census(depot, fresh=-1)
        await census.count()
        return await census.count()

    assert asyncio.run(play()).names == {"npm": 1}


def test_a_depot_that_is_down_is_not_counted(tmp_path):
    class Down(FolderDepot):
        async def list(self, _):
            raise DepotDownError("down")
            yield

    async def play():
        return await Census(Down(tmp_path)).count()

    assert asyncio.run(play()) is None
