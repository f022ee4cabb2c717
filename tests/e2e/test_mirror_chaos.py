"""A mirror's fronts and its store, killed under load; benchmarks/mirror_chaos.py does it often."""

from pathlib import Path

import pytest

from tests.peers.mirror_chaos import chaos

pytestmark = pytest.mark.e2e


def test_fronts_and_the_store_killed_under_load_lose_nothing_and_serve_nothing_wrong(
    tmp_path: Path,
) -> None:
    with chaos(tmp_path, seed=9) as fleet:
        for store in (False, True, False, False):
            fleet.strike(store=store)
        assert fleet.missing() == []
    counts = fleet.counts
    assert counts.wrong == []
    assert counts.whole > 20
    assert len(counts.written) > 5
    assert len(counts.recovered) == 4
