"""Keys, values and content in a registry; the real one is in tests/e2e."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.names import blob_key, ref_key
from pyodide_offline.features.mirror.registry import RegistryDepot
from pyodide_offline.features.mirror.repository import Repository
from tests.peers import depot_rules
from tests.peers.oci import HOST, FakeRegistry

_KEY = ref_key("npm", "x")


def _depot(fake: FakeRegistry, folder: Path) -> RegistryDepot:
    return RegistryDepot(Repository(f"oci://{HOST}/m", {}, transport=fake.transport()), folder)


@pytest.mark.parametrize(
    "fake",
    [FakeRegistry(), FakeRegistry(redirects=True), FakeRegistry(ranges=False, page=2)],
    ids=["plain", "redirects", "no ranges, small pages"],
)
def test_holds_to_the_rules(fake: FakeRegistry, tmp_path: Path) -> None:
    async def play() -> None:
        depot = _depot(fake, tmp_path / "front")
        await depot_rules.holds(depot, tmp_path)
        await depot_rules.one_wins(depot, [_depot(fake, tmp_path / "front")])
        await depot.close()

    asyncio.run(play())


def test_content_is_named_by_a_manifest_so_that_no_collector_takes_it(tmp_path: Path) -> None:
    fake, hexed = FakeRegistry(), "ab" * 32

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        await depot.create(blob_key("sha256", hexed), b"content")

    asyncio.run(play())
    ((tag, body),) = fake.manifests.items()
    manifest = json.loads(body)
    assert tag.startswith("k-")
    assert fake.blobs[manifest["layers"][0]["digest"]] == b"content"
    assert manifest["annotations"]["pyodide-offline.key"] == blob_key("sha256", hexed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"annotations": {"pyodide-offline.key": "../x"}, "layers": [{"digest": "sha256:00"}]}',
        b'{"annotations": {"pyodide-offline.key": "refs/npm/y"}, "layers": [{"digest": "x"}]}',
    ],
    ids=["empty", "list", "object", "out", "digest"],
)
def test_manifests_of_others_are_refused(body: bytes, tmp_path: Path) -> None:
    fake = FakeRegistry()

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        await depot.create(_KEY, b"1")
        (tag,) = fake.manifests
        fake.manifests[tag] = body
        with pytest.raises(DepotDownError, match="not of a mirror"):
            await depot.get(_KEY)

    asyncio.run(play())


def test_one_keys_manifest_does_not_stand_for_another(tmp_path: Path) -> None:
    fake = FakeRegistry()

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        await depot.create(_KEY, b"1")
        await depot.create(ref_key("npm", "y"), b"2")
        first, second = fake.manifests
        fake.manifests[first] = fake.manifests[second]
        with pytest.raises(DepotDownError, match="is of"):
            await depot.get(_KEY)

    asyncio.run(play())


def test_content_that_was_collected_is_not_there_and_can_be_brought_again(tmp_path: Path) -> None:
    fake, key = FakeRegistry(), blob_key("sha256", "ab" * 32)

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        assert await depot.create(key, b"content")
        del fake.blobs[f"sha256:{sha256(b'content').hexdigest()}"]
        assert await depot.head(key) is None
        assert await depot.get(key) is None
        with pytest.raises(KeyError, match="blobs/"):
            await depot_rules.read(depot, key)
        assert await depot.create(key, b"content")
        assert not await depot.create(key, b"content")
        assert await depot_rules.read(depot, key) == b"content"

    asyncio.run(play())


def test_a_manifest_that_a_registry_only_remembers_is_written_in_other_bytes(
    tmp_path: Path,
) -> None:
    fake, key = FakeRegistry(), blob_key("sha256", "ab" * 32)

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        assert await depot.create(key, b"content")
        ((tag, body),) = fake.manifests.items()
        fake.remembered.add(body)  # as docker-registry does with what was collected
        del fake.manifests[tag]
        assert await depot.create(key, b"content")
        assert fake.manifests[tag] != body
        assert await depot_rules.read(depot, key) == b"content"
        fake.forgets_all = True
        with pytest.raises(DepotDownError, match="restart it"):
            await depot.swap(_KEY, b"1", None)

    asyncio.run(play())


def test_what_no_manifest_can_hold_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        with pytest.raises(DepotDownError, match="too large"):
            await _depot(FakeRegistry(), tmp_path).create(_KEY, bytes(3_000_000))

    asyncio.run(play())


def test_leases_stay_on_this_machine(tmp_path: Path) -> None:
    fake = FakeRegistry()

    async def play() -> None:
        depot = _depot(fake, tmp_path)
        assert await depot.create("leases/x", b"1")
        assert [one.key async for one in depot.list("leases/")] == ["leases/x"]
        assert [one.key async for one in depot.list("")] == ["leases/x"]
        await depot.close()

    asyncio.run(play())
    assert fake.manifests == {}
