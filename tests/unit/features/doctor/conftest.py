"""What the checks of doctor are asked with."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.session import Session
from tests.peers import toolroom


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """The only folder on PATH that holds tools, empty at first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def machine(session: Session, bin_dir: Path) -> Session:
    """A session with that PATH and a project with a worker, wrangler and workerd."""
    toolroom.lay_out(session.project)
    return replace(session, environ={"PATH": str(bin_dir), "HOME": str(bin_dir.parent)})


@pytest.fixture
def observed(machine: Session) -> Observed:
    return Observed(machine)
