"""The mirror's stores, real: SeaweedFS and docker-registry; raced, killed, bits flipped."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.names import blob_key
from pyodide_offline.features.mirror.opening import opened
from tests.peers import depot_rules
from tests.peers.stores import DockerRegistry, Seaweed, Server, docker_registry, seaweedfs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweedfs(tmp_path_factory.mktemp("seaweed") / "store") as store:
        yield store


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "store") as store:
        yield store


def test_docker_registry_holds_to_the_rules_for_a_single_front(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async def play() -> None:
        fronts = [await opened(registry.url(), {}, tmp_path, single=True) for _ in range(2)]
        await depot_rules.holds(fronts[0], tmp_path)
        await depot_rules.one_wins(fronts[0], list(fronts[1:]))
        for front in fronts:
            await front.close()

    asyncio.run(play())


def test_seaweedfs_holds_to_the_rules_and_lets_one_win(seaweed: Seaweed, tmp_path: Path) -> None:
    async def play() -> None:
        fronts = [
            await opened(seaweed.url(prefix="rules"), seaweed.environ, tmp_path) for _ in range(3)
        ]
        await depot_rules.holds(fronts[0], tmp_path)
        await depot_rules.one_wins(fronts[0], list(fronts[1:]), racers=6)

    asyncio.run(play())


def test_seaweedfs_for_a_single_front(seaweed: Seaweed, tmp_path: Path) -> None:
    async def play() -> None:
        fronts = [
            await opened(seaweed.url(prefix="one"), seaweed.environ, tmp_path, single=True)
            for _ in range(2)  # its processes
        ]
        await depot_rules.holds(fronts[0], tmp_path)
        await depot_rules.one_wins(fronts[0], list(fronts[1:]))

    asyncio.run(play())


def test_keys_that_are_wrong_are_told_and_not_shown(seaweed: Seaweed, tmp_path: Path) -> None:
    environ = {**seaweed.environ, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}
    with pytest.raises(DepotDownError, match="403") as raised:
        asyncio.run(opened(seaweed.url(), environ, tmp_path))
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize("kind", ["seaweedfs", "docker-registry"])
def test_bits_flipped_in_a_stores_files_are_never_handed_out(
    kind: str, seaweed: Seaweed, registry: DockerRegistry, tmp_path: Path
) -> None:
    data = os.urandom(300_000)
    digest = digests.of_bytes(data)
    key = blob_key("sha256", digest.hex)
    store: Server = seaweed if kind == "seaweedfs" else registry
    url = seaweed.url(prefix="bits") if kind == "seaweedfs" else registry.url("bits")

    async def play() -> None:
        depot = await opened(url, store.environ, tmp_path, single=kind != "seaweedfs")
        told: list[str] = []
        assert await depot.create(key, data)
        good = DiskCache(tmp_path / "before", depot)
        assert await good.path(digest) is not None
        assert _flipped(store.data, data[1000:1100]) == 1
        cache = DiskCache(tmp_path / "after", depot, damaged=lambda one, _: told.append(one))
        if kind == "seaweedfs":  # it finds out by itself, and gives nothing
            with pytest.raises(DepotDownError):
                await cache.path(digest)
        else:  # it answers 200
            assert await cache.path(digest) is None
            assert told == [key]
        assert not [one for one in (tmp_path / "after" / "v1").rglob("*") if one.is_file()]
        assert (found := await good.path(digest)) is not None
        assert found.read_bytes() == data
        await depot.close()

    asyncio.run(play())


def _flipped(folder: Path, around: bytes) -> int:
    """Flip a bit wherever these bytes lie in a folder's files; return how often."""
    count = 0
    for path in folder.rglob("*"):
        if path.is_file() and (at := path.read_bytes().find(around)) >= 0:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(bytes([around[0] ^ 4]))
            count += 1
    return count
