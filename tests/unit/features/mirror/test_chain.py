"""The mirror's log: any number of writers, and each way in which it may be tampered with."""

import asyncio
import json

import pytest

from pyodide_offline.errors import IntegrityError, SettingsError
from pyodide_offline.features.mirror import chain
from pyodide_offline.features.mirror.chain import Chain
from pyodide_offline.features.mirror.entries import Link, Record
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.kits import signing
from tests.peers.depots import rewrite, value_of

KEY = signing.generate(b"k" * 32)
OTHER = signing.generate(b"o" * 32)


def _record(number):
    return Record("npm", f"package-{number}", {"1.0.0": f"sha1-{number}"})


@pytest.fixture
def root(tmp_path):
    return tmp_path / "a depot"


async def _filled(root, count, **named):
    log = Chain(FolderDepot(root), KEY, **named)
    for number in range(count):
        await log.append([_record(number)])
    return log


async def _all(log):
    return [entry async for entry in log.entries(await log.head())]


def test_entries_lead_back_to_the_first(root):
    async def play():
        log = await _filled(root, 3)
        return await _all(log)

    found = asyncio.run(play())
    assert [one.link.number for one in found] == [3, 2, 1]
    assert found[-1].previous == Link()
    assert found[0].records == (_record(2),)
    assert found[0].key == KEY.public


def test_many_writers_at_once_lose_nothing_and_leave_nothing(root):
    async def play():
        logs = [Chain(FolderDepot(root), KEY) for _ in range(4)]

        async def write(log, numbers):
            for number in numbers:
                await log.append([_record(number)])

        await asyncio.gather(
            *(write(log, range(5 * place, 5 * place + 5)) for place, log in enumerate(logs))
        )
        depot = FolderDepot(root)
        keys = [entry.key async for entry in depot.list("refs/chain/")]
        return await _all(Chain(depot, KEY)), keys

    found, keys = asyncio.run(play())
    assert {record.name for one in found for record in one.records} == {
        f"package-{number}" for number in range(20)
    }
    assert len(found) == len(keys) == 20


class _Forgetful(FolderDepot):
    """Does a swap, and loses the answer, once."""

    lost = False

    async def swap(self, key, value, etag):
        done = await super().swap(key, value, etag)
        if key == chain.HEAD and not self.lost:
            self.lost = True
            return None
        return done


def test_a_swap_whose_answer_was_lost_counts_once(root):
    async def play():
        log = Chain(_Forgetful(root), KEY)
        await log.append([_record(0)])
        await log.append([_record(1)])
        return await _all(log)

    assert [one.link.number for one in asyncio.run(play())] == [2, 1]


def _entry_file(root, number):
    return next((root / "v1/refs/chain").glob(f"{number:012}.*"))


def _flip(root):
    path = _entry_file(root, 2)
    rewrite(path, value_of(path).replace(b"package-1", b"package-9"))


def _drop(root):
    _entry_file(root, 2).unlink()


def _forge(root):
    """A whole chain of another key, in the place of ours."""
    for path in (root / "v1/refs").rglob("*"):
        if path.is_file():
            path.unlink()

    async def play():
        log = Chain(FolderDepot(root), OTHER)
        for number in range(4):
            await log.append([_record(number)])

    asyncio.run(play())


def _nonsense(root):
    rewrite(root / "v1/refs/chain-head/head", b"[]")


def _nowhere(root):
    rewrite(root / "v1/refs/chain-head/head", b'{"number": 9, "sha256": "' + b"0" * 64 + b'"}')


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (_flip, "another digest"),
        (_drop, "missing"),
        (_forge, "not trusted here"),
        (_nonsense, "cannot be read"),
        (_nowhere, "missing"),
    ],
)
def test_what_was_tampered_with_is_an_error(root, tamper, why):
    asyncio.run(_filled(root, 3))
    tamper(root)
    with pytest.raises(IntegrityError, match=why):
        asyncio.run(_all(Chain(FolderDepot(root), KEY)))


def test_a_chain_that_was_rolled_back_or_forked_is_not_added_to(root, tmp_path):
    memory = tmp_path / "state" / "head.json"
    asyncio.run(_filled(root, 2))
    before = value_of(root / "v1/refs/chain-head/head")
    asyncio.run(_filled(root, 1, memory=memory))
    assert json.loads(memory.read_bytes())["number"] == 3
    rewrite(root / "v1/refs/chain-head/head", before)
    with pytest.raises(IntegrityError, match="does not lead back to number 3"):
        asyncio.run(_filled(root, 1, memory=memory))
    asyncio.run(_filled(root, 2))  # somebody with the key and without the memory goes on: a fork
    with pytest.raises(IntegrityError, match="does not lead back to number 3"):
        asyncio.run(_filled(root, 1, memory=memory))
    (root / "v1/refs/chain-head/head").unlink()
    with pytest.raises(IntegrityError, match="ends with number 0"):
        asyncio.run(_filled(root, 1, memory=memory))


def test_a_memory_that_cannot_be_read_is_not_taken_for_none(root, tmp_path):
    memory = tmp_path / "head.json"
    memory.write_text("{")
    with pytest.raises(SettingsError, match="is not known"):
        Chain(FolderDepot(root), KEY, memory=memory)


def test_another_fronts_key_is_trusted_where_it_is_named(root):
    asyncio.run(_filled(root, 1))

    async def play(*trusted):
        log = Chain(FolderDepot(root), OTHER, trusted)
        await log.append([_record(7)])
        return await _all(log)

    with pytest.raises(IntegrityError, match=f"--trust-key {KEY.public.line[:20]}") as caught:
        asyncio.run(play())
    assert caught.value.facts == {"untrusted": KEY.public.line}
    assert len(asyncio.run(play(KEY.public))) == 2


def test_without_a_key_nothing_is_added(root):
    with pytest.raises(SettingsError, match="no key"):
        asyncio.run(Chain(FolderDepot(root), None).append([_record(1)]))
