"""The mirror's stores, real: SeaweedFS and docker-registry; raced, killed, bits flipped."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.opening import opened
from tests.peers import depot_rules
from tests.peers.stores import DockerRegistry, Seaweed, docker_registry, seaweedfs

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
        # Twenty have raced when it was opened; SeaweedFS lets losers wait a second and more.
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
