"""Content and its name: both in the store, whatever is removed there meanwhile."""

import asyncio
import hashlib
import io

import pytest

from pyodide_offline.features.mirror import names, removal
from pyodide_offline.features.mirror.deposit import Deposit
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref
from tests.peers.depots import MemoryDepot
from tests.peers.fronts import played

BODY = b"content"
DIGEST = hashlib.sha256(BODY).hexdigest()
KEY = names.blob_key("sha256", DIGEST)
REF = Ref("npm", "a", DIGEST, len(BODY), "a/b", 5)


def _deposit(depot):
    return Deposit(Refbook(depot, Events(io.StringIO())), Leases(depot, term=0.05))


@pytest.mark.parametrize("source", ["bytes", "file"])
def test_both_are_there(source, tmp_path):
    async def scene():
        depot = MemoryDepot()
        file = tmp_path / "file"
        file.write_bytes(BODY)
        deposit = _deposit(depot)
        await deposit.bring(REF, file if source == "file" else BODY)
        assert await depot.get(names.ref_key("npm", "a")) is None
        await deposit.name(REF, file if source == "file" else BODY)
        assert depot.values[KEY][0] == BODY
        assert depot.values[names.ref_key("npm", "a")][0] == REF.encode()

    played(scene)


def test_the_run_that_may_remove_it_is_waited_for():
    async def scene():
        depot = MemoryDepot()
        await removal.announce(depot, [KEY])
        run = await Leases(depot, term=0.05).take(removal.RUN)
        assert run
        deposit = _deposit(depot)
        async with run:
            await deposit.bring(REF, BODY)
            naming = asyncio.create_task(deposit.name(REF, BODY))
            done, _ = await asyncio.wait([naming], timeout=0.3)
            assert not done
            await depot.remove(KEY)
        await naming
        assert depot.values[KEY][0] == BODY
        assert await removal.announced(depot) == frozenset()

    played(scene)


def test_a_run_that_was_killed_is_not_waited_for_long():
    async def scene():
        depot = MemoryDepot()
        await removal.announce(depot, [KEY])
        assert await Leases(depot, term=0.05).take(removal.RUN)
        deposit = _deposit(depot)
        await deposit.bring(REF, BODY)
        await deposit.name(REF, BODY)
        assert depot.values[KEY][0] == BODY

    played(scene)


def test_what_went_before_it_was_named_is_put_there_again():
    async def scene():
        depot = MemoryDepot()
        await removal.announce(depot, ["blobs/another"])
        deposit = _deposit(depot)
        await deposit.bring(REF, BODY)
        await depot.remove(KEY)
        await deposit.name(REF, BODY)
        assert depot.values[KEY][0] == BODY

    played(scene)
