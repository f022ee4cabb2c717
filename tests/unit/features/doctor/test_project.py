from pathlib import Path

from pyodide_offline.features.doctor import project
from pyodide_offline.features.doctor.observed import Observed
from tests.peers import toolroom


def test_worker_wrangler_and_wish_of_a_project(observed: Observed) -> None:
    worker, wrangler = project.worker(observed), project.wrangler(observed)
    want = project.want(observed)
    assert worker is not None
    assert worker.date == "2026-11-17"
    assert wrangler is not None
    assert wrangler.version == "4.164.0"
    assert want is not None
    assert (want.bundle_id, want.digest and want.digest.sri) == (
        toolroom.SETUP.id,
        toolroom.SETUP.digest,
    )


def test_without_a_project_there_is_nothing_and_no_error(session, tmp_path: Path) -> None:
    observed = Observed(session)
    assert project.worker(observed) is None
    assert project.wrangler(observed) is None
    assert project.want(observed) is None
