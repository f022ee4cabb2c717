"""First-seen digests: pinned, held to, accepted anew by an operator, mended after a kill."""

import asyncio
import io

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import DepotDownError, IntegrityError, PinChangedError, SettingsError
from pyodide_offline.features.mirror.chain import Chain
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.ledger import Ledger
from pyodide_offline.kits import signing
from tests.peers.depots import rewrite, value_of

KEY = signing.generate(b"k" * 32)
ONE, TWO, THREE = (digests.of_bytes(data, "sha512").sri for data in (b"1", b"2", b"3"))


class Place:
    """A depot and ledgers on it."""

    def __init__(self, root):
        self.root = root
        self.events = Events(io.StringIO())

    def ledger(self, depot=None):
        depot = depot or FolderDepot(self.root)
        return Ledger(depot, Chain(depot, KEY), KEY, self.events)

    def entries(self):
        async def play():
            log = Chain(FolderDepot(self.root), KEY)
            return [entry async for entry in log.entries(await log.head())]

        return asyncio.run(play())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "depot")


def test_what_is_new_is_pinned_and_what_is_known_adds_nothing(place):
    async def play():
        ledger = place.ledger()
        await ledger.admit("npm", "left-pad", {"1.0.0": ONE})
        await ledger.admit("npm", "left-pad", {"1.0.0": ONE})
        await ledger.admit("npm", "left-pad", {"1.0.0": ONE, "2.0.0": TWO})
        await ledger.admit("npm", "@a/Left-pad", {"1.0.0": TWO})
        return await ledger.pins("npm", "left-pad")

    assert asyncio.run(play()) == {"1.0.0": ONE, "2.0.0": TWO}
    assert [dict(one.records[0].pins) for one in place.entries()] == [
        {"1.0.0": TWO},
        {"2.0.0": TWO},
        {"1.0.0": ONE},
    ]


def test_a_change_is_refused_and_nothing_of_that_list_is_pinned(place):
    async def play():
        ledger = place.ledger()
        await ledger.admit("npm", "left-pad", {"1.0.0": ONE})
        for _ in range(2):
            with pytest.raises(PinChangedError, match="accept npm left-pad") as caught:
                await ledger.admit("npm", "left-pad", {"1.0.0": TWO, "2.0.0": THREE})
            assert caught.value.changes == {"1.0.0": (ONE, TWO)}
        waiting = await ledger.pending("npm", "left-pad")
        assert [(one.version, one.pinned, one.given) for one in waiting] == [("1.0.0", ONE, TWO)]
        return await ledger.pins("npm", "left-pad")

    assert asyncio.run(play()) == {"1.0.0": ONE}


def test_what_comes_out_of_the_store_must_be_pinned(place):
    async def play():
        ledger = place.ledger()
        await ledger.admit("npm", "p", {"1": ONE})
        await ledger.check("npm", "p", {"1": ONE})
        for given in ({"1": TWO}, {"1": ONE, "2": TWO}):
            with pytest.raises(IntegrityError, match="nobody pinned"):
                await ledger.check("npm", "p", given)
        return await ledger.pins("npm", "p")

    assert asyncio.run(play()) == {"1": ONE}


def test_an_operator_accepts_a_change_and_the_old_one_is_one_then(place):
    async def play():
        ledger = place.ledger()
        await ledger.admit("npm", "left-pad", {"1.0.0": ONE})
        with pytest.raises(SettingsError, match="No change"):
            await ledger.accept("npm", "left-pad", "1.0.0")
        with pytest.raises(PinChangedError):
            await ledger.admit("npm", "left-pad", {"1.0.0": TWO})
        assert await ledger.accept("npm", "left-pad", "1.0.0") == (ONE, TWO)
        assert await ledger.pending("npm", "left-pad") == []
        await place.ledger().admit("npm", "left-pad", {"1.0.0": TWO})
        with pytest.raises(PinChangedError):
            await ledger.admit("npm", "left-pad", {"1.0.0": ONE})
        assert await ledger.accept("npm", "left-pad", "1.0.0", THREE) == (TWO, THREE)

    asyncio.run(play())
    record = place.entries()[0].records[0]
    assert (record.pins, record.was) == ({"1.0.0": THREE}, {"1.0.0": TWO})


def test_those_who_come_at_once_share_an_entry(place):
    async def play():
        ledger = place.ledger()
        await asyncio.gather(*(ledger.admit("npm", f"p{n}", {"1": ONE}) for n in range(40)))
        await ledger.close()

    asyncio.run(play())
    entries = place.entries()
    assert sum(len(one.records) for one in entries) == 40
    assert len(entries) < 10


def test_two_fronts_that_see_two_first_digests_pin_one(place):
    async def play():
        one, two = place.ledger(), place.ledger()
        said = await asyncio.gather(
            one.admit("npm", "p", {"1": ONE}),
            two.admit("npm", "p", {"1": TWO}),
            return_exceptions=True,
        )
        return said, await one.pins("npm", "p")

    said, pinned = asyncio.run(play())
    assert sorted(type(one).__name__ for one in said) == ["NoneType", "PinChangedError"]
    assert pinned == {"1": ONE if said[0] is None else TWO}


def test_a_client_that_goes_away_takes_nobody_elses_pins_with_it(place):
    async def play():
        ledger = place.ledger()
        tasks = [asyncio.create_task(ledger.admit("npm", f"p{n}", {"1": ONE})) for n in range(3)]
        for _ in range(3):
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        await ledger.close()
        return [one.cancelled() for one in tasks], await ledger.pins("npm", "p2")

    assert asyncio.run(play()) == ([True, False, False], {"1": ONE})


class _Killed(FolderDepot):
    """A front that ends after the chain, before the package's pins."""

    async def swap(self, key, value, etag):
        if key.startswith("refs/pins/"):
            raise DepotDownError("killed")
        return await super().swap(key, value, etag)


def test_a_front_that_was_killed_between_chain_and_pins_is_made_good(place):
    async def play():
        with pytest.raises(DepotDownError):
            await place.ledger(_Killed(place.root)).admit("npm", "p", {"1": ONE})
        ledger = place.ledger()
        assert await ledger.pins("npm", "p") == {}
        await ledger.open()
        assert await ledger.pins("npm", "p") == {"1": ONE}
        with pytest.raises(PinChangedError):
            await ledger.admit("npm", "p", {"1": TWO})

    asyncio.run(play())


def _swap_files(root):
    one, two = (root / "v1/refs/pins/npm" / name for name in ("p", "q"))
    data = one.read_bytes()
    two.unlink()
    two.write_bytes(data)


def _edit(root):
    path = root / "v1/refs/pins/npm/q"
    rewrite(path, value_of(path).replace(ONE.encode(), TWO.encode()))


@pytest.mark.parametrize(
    ("tamper", "why"), [(_swap_files, "of another package"), (_edit, "not its own")]
)
def test_pins_that_were_tampered_with_are_an_error(place, tamper, why):
    async def play():
        ledger = place.ledger()
        for name in ("p", "q"):
            await ledger.admit("npm", name, {"1": ONE})
        tamper(place.root)
        with pytest.raises(IntegrityError, match=why):
            await ledger.admit("npm", "q", {"1": TWO})

    asyncio.run(play())


def test_a_chain_that_does_not_hold_pins_nothing_and_is_told(place):
    async def play():
        ledger = place.ledger()
        await ledger.admit("npm", "p", {"1": ONE})
        head = place.root / "v1/refs/chain-head/head"
        head.unlink()
        with pytest.raises(IntegrityError, match="does not lead back"):
            await ledger.admit("npm", "q", {"1": ONE})
        await ledger.admit("npm", "p", {"1": ONE})  # nothing new: nothing to sign
        return await ledger.pins("npm", "q")

    assert asyncio.run(play()) == {}
    assert place.events.errors[-1].where == "chain"
