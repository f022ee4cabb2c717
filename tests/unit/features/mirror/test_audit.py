"""A store is held to its log: each way of tampering is found, and all of them at once."""

import asyncio
import io
from dataclasses import replace

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import DepotDownError, PinChangedError
from pyodide_offline.features.mirror import entries, names, pins, refs
from pyodide_offline.features.mirror.audit import LOG, Audit
from pyodide_offline.features.mirror.chain import Chain
from pyodide_offline.features.mirror.entries import Link, Record
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.ledger import PINS, Ledger
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.kits import signing
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, UNTRUSTED
from tests.peers.depots import rewrite, value_of

KEY = signing.generate(b"k" * 32)
STRANGER = signing.generate(b"s" * 32)
ONE, TWO = b"one" * 1000, b"two" * 1000


def _sri(data):
    return digests.of_bytes(data, "sha512").sri


async def _fill(root):
    depot = FolderDepot(root)
    ledger = Ledger(depot, Chain(depot, KEY), KEY, Events(io.StringIO()))
    for name, data in (("left-pad", ONE), ("@a/b", TWO)):
        await ledger.admit("npm", name, {"1.0.0": _sri(data)})
        digest = digests.of_bytes(data).hex
        await depot.create(names.blob_key("sha256", digest), data)
        ref = Ref("npm", f"{name}/-/x.tgz", digest, len(data), "t", 1, integrity=_sri(data))
        await depot.swap(names.ref_key("npm", ref.name), ref.encode(), None)
    with pytest.raises(PinChangedError):
        await ledger.admit("npm", "left-pad", {"1.0.0": _sri(TWO)})


@pytest.fixture
def root(tmp_path):
    asyncio.run(_fill(tmp_path / "depot"))
    return tmp_path / "depot"


def _run(root, trusted=(KEY.public,), seen=(), depot=None):
    return asyncio.run(Audit(depot or FolderDepot(root), trusted, seen).run())


def _faults(root, **named):
    return [(one.where, one.reason, one.bit) for one in _run(root, **named).faults]


def _file(root, pattern):
    (found,) = (root / "v1").glob(pattern)
    return found


def test_a_store_that_nobody_touched_has_no_fault(root):
    report = _run(root)
    assert report.faults == []
    assert (report.entries, report.packages, report.pins) == (2, 2, 2)
    assert (report.names, report.blobs, report.size) == (2, 2, 6000)
    assert report.head.number == 2


def test_an_empty_store_has_none_either(tmp_path):
    assert _run(tmp_path / "empty").faults == []


def test_bits_that_flipped_and_contents_that_are_gone(root):
    one, two = (
        root / "v1" / names.blob_key("sha256", digests.of_bytes(data).hex) for data in (ONE, TWO)
    )
    one.unlink()
    one.write_bytes(ONE[:-1] + b"x")
    two.unlink()
    found = _faults(root)
    assert [bit for _, _, bit in found] == [CORRUPT, INCOMPLETE]
    assert "another digest" in found[0][1]
    assert found[1][:2] == ("npm @a/b/-/x.tgz", "its content is missing")


def test_a_name_that_leads_to_other_content(root):
    path = _file(root, "refs/npm/left-pad*")
    other = digests.of_bytes(TWO).hex.encode()
    rewrite(path, value_of(path).replace(digests.of_bytes(ONE).hex.encode(), other))
    assert [(where, bit) for where, _, bit in _faults(root)] == [("npm left-pad/-/x.tgz", CORRUPT)]


def test_names_that_cannot_be_read_or_belong_elsewhere(root):
    one, two = _file(root, "refs/npm/left-pad*"), _file(root, "refs/npm/=40*")
    data = value_of(two)
    rewrite(one, data)
    rewrite(two, b"{}")
    assert [reason for _, reason, _ in _faults(root)] == [
        "it cannot be read",
        "it says that it is npm @a/b/-/x.tgz",
    ]


def test_pins_that_were_changed_removed_or_added(root):
    path = _file(root, "refs/pins/npm/left-pad")
    forged = {"kind": "npm", "name": "left-pad", "pins": {"1.0.0": _sri(TWO), "9.9.9": _sri(TWO)}}
    rewrite(path, entries.sealed(KEY, PINS, forged))  # somebody who has the key, and not the log
    _file(root, "refs/pins/npm/=40*").unlink()
    found = _faults(root)
    assert [(where, bit) for where, _, bit in found] == [
        ("npm @a/b", INCOMPLETE),
        ("npm left-pad 1.0.0", CORRUPT),
        ("npm left-pad 9.9.9", UNTRUSTED),
    ]


def test_pins_with_a_broken_or_a_strangers_signature(root):
    one, two = _file(root, "refs/pins/npm/left-pad"), _file(root, "refs/pins/npm/=40*")
    rewrite(one, value_of(one).replace(b"1.0.0", b"1.0.1"))
    forged = {"kind": "npm", "name": "@a/b", "pins": {"1.0.0": _sri(TWO)}}
    rewrite(two, entries.sealed(STRANGER, PINS, forged))
    bits = {where: bit for where, _, bit in _faults(root)}
    assert bits["refs/pins/npm/left-pad"] == CORRUPT
    assert bits["refs/pins/npm/=40a=2fb"] == UNTRUSTED


def test_a_name_that_gets_other_content_meanwhile_is_no_fault(root):
    class Busy(FolderDepot):
        async def list(self, prefix):
            if prefix == names.BLOBS:  # the names were read
                key = names.ref_key("npm", "left-pad/-/x.tgz")
                found = await self.get(key)
                assert found
                ref = refs.decode(found[0], "npm", "left-pad/-/x.tgz")
                new = digests.of_bytes(b"new").hex
                await self.create(names.blob_key("sha256", new), b"new")
                changed = replace(ref, digest=new, size=3, integrity="")
                await self.swap(key, changed.encode(), found[1])
                await self.remove(names.blob_key("sha256", ref.digest))
            async for entry in super().list(prefix):
                yield entry

    assert _run(root, depot=Busy(root)).faults == []


def test_content_that_is_listed_and_cannot_be_had_is_missing(root):
    class Hollow(FolderDepot):
        """As a registry whose garbage was collected: the manifest is there, the blob is not."""

        async def list(self, prefix):
            async for entry in super().list(prefix):
                if prefix == names.BLOBS:
                    await self.remove(entry.key)
                yield entry

    found = [(one.where, one.reason, one.bit) for one in _run(root, depot=Hollow(root)).faults]
    assert found == [
        ("npm @a/b/-/x.tgz", "its content is missing", INCOMPLETE),
        ("npm left-pad/-/x.tgz", "its content is missing", INCOMPLETE),
    ]


def test_an_entry_that_is_changed_or_missing(root):
    path = _file(root, "refs/chain/000000000001.*")
    data = value_of(path)
    rewrite(path, data.replace(b"left-pad", b"left-bad"))
    assert (LOG, CORRUPT) in [(where, bit) for where, _, bit in _faults(root)]
    path.unlink()
    assert (LOG, INCOMPLETE) in [(where, bit) for where, _, bit in _faults(root)]


def test_a_log_of_a_strangers_is_read_and_not_trusted(root):
    faults = _faults(root, trusted=(STRANGER.public,))
    assert {bit for _, _, bit in faults} == {UNTRUSTED}
    assert all(KEY.public.name in reason for _, reason, _ in faults)


def test_a_log_that_does_not_lead_to_a_head_that_was_seen(root):
    head = _run(root).head
    assert _faults(root, seen=[head]) == []
    for seen in (Link(3, "0" * 64), Link(1, "0" * 64)):
        assert [bit for _, _, bit in _faults(root, seen=[seen])] == [UNTRUSTED]


def test_two_digests_for_one_version_that_nobody_accepted(root):
    async def forge(was):
        await Chain(FolderDepot(root), KEY).append(
            [Record("npm", "left-pad", {"1.0.0": _sri(TWO)}, was)]
        )

    asyncio.run(forge({}))
    assert [(where, bit) for where, _, bit in _faults(root)] == [("npm left-pad 1.0.0", UNTRUSTED)]


def test_what_an_operator_accepted_is_no_fault(root):
    async def play():
        depot = FolderDepot(root)
        ledger = Ledger(depot, Chain(depot, KEY), KEY, Events(io.StringIO()))
        await ledger.accept("npm", "left-pad", "1.0.0")

    asyncio.run(play())
    assert _faults(root) == []


def test_values_that_a_store_does_not_give_are_faults(root):
    head, there = _file(root, "refs/chain-head/head"), _file(root, "refs/pins/npm/left-pad")
    for path in (head, there):
        path.chmod(0o644)
        path.write_bytes(b"x" + path.read_bytes()[1:])
    where = {where for where, _, _ in _faults(root)}
    assert {LOG, "refs/pins/npm/left-pad"} <= where


class _Unreadable(FolderDepot):
    down = False

    async def read(self, *_arguments, **_named):
        raise DepotDownError("The store refuses.")
        yield

    async def head(self, key):
        if self.down:
            raise DepotDownError("The store is down.")
        return await super().head(key)


def test_contents_that_a_store_does_not_give_are_faults_and_a_store_that_is_down_is_an_error(root):
    depot = _Unreadable(root)
    assert [bit for _, _, bit in _faults(root, depot=depot)] == [CORRUPT, CORRUPT]
    depot = _Unreadable(root)
    depot.down = True
    with pytest.raises(DepotDownError, match="is down"):
        _run(root, depot=depot)


def test_a_package_of_thousands_of_versions_is_compared_once_each(tmp_path, monkeypatch):
    many = {f"1.0.{number}": _sri(ONE) for number in range(3000)}

    async def fill():
        depot = FolderDepot(tmp_path / "depot")
        ledger = Ledger(depot, Chain(depot, KEY), KEY, Events(io.StringIO()))
        await ledger.admit("npm", "large", many)

    asyncio.run(fill())
    compared = []
    real = pins.compare

    def counting(pinned, given):
        compared.append(len(given))
        return real(pinned, given)

    monkeypatch.setattr(pins, "compare", counting)
    assert _faults(tmp_path / "depot") == []
    assert sum(compared) == 2 * len(many)
