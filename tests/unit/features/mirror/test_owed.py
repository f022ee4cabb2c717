"""What was fetched while the store was down gets there once it is up again."""

import asyncio
import io
import time

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.deposit import Deposit
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.owed import Owed
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from tests.peers.depots import MemoryDepot
from tests.peers.fronts import played

BODY = b"x" * 1000


def test_the_store_catches_up(tmp_path):
    async def scene():
        depot, events = MemoryDepot(), Events(io.StringIO())
        book, cache = Refbook(depot, events), DiskCache(tmp_path / "cache", depot)
        digest = digests.of_bytes(BODY)
        file = tmp_path / "new"
        file.write_bytes(BODY)
        await cache.admit(digest, file)
        owed = Owed(Deposit(book, Leases(depot)), cache, events, pause=0.02)
        depot.down = True
        ref = Ref("npm", "a", digest.hex, len(BODY), "a/b", int(time.time()))
        owed.note(ref)
        owed.note(Ref("npm", "gone", "00" * 32, 5, "a/b", 1))
        await asyncio.sleep(0.1)
        assert len(owed) == 2
        depot.down = False
        while len(owed):
            await asyncio.sleep(0.01)
        assert depot.values[names.blob_key("sha256", digest.hex)][0] == BODY
        assert await Refbook(depot, events).read("npm", "a") == ref
        assert await Refbook(depot, events).read("npm", "gone") is None
        await owed.close()

    played(scene)


def test_closing_ends_the_tries(tmp_path):
    async def scene():
        depot, events = MemoryDepot(), Events(io.StringIO())
        deposit = Deposit(Refbook(depot, events), Leases(depot))
        owed = Owed(deposit, DiskCache(tmp_path, depot), events)
        await owed.close()
        owed.note(Ref("npm", "gone", "00" * 32, 5, "a/b", 1))
        await owed.close()
        assert len(owed) == 1

    played(scene)
