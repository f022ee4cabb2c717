"""Whether pywrangler's sync would do something."""

import os
from pathlib import Path

import pytest

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import freshness


@pytest.fixture
def project(session: Session) -> Path:
    (session.project / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    return session.project


def _synced(project: Path) -> None:
    for name in ("python_modules", ".venv-workers"):
        (project / name).mkdir()
        (project / name / ".synced").write_text("1.17.9")


def test_needed_by_pywranglers_own_rule(project: Path) -> None:
    assert freshness.needed(project, "1.17.9")
    _synced(project)
    assert not freshness.needed(project, "1.17.9")
    assert not freshness.needed(project / "python_modules", "1.17.9")
    assert freshness.needed(project, "1.18.0")
    (project / "pylock.toml").touch()
    future = (project / "pylock.toml").stat().st_mtime + 10
    os.utime(project / "pylock.toml", (future, future))
    assert freshness.needed(project, "1.17.9")
    (project / "pylock.toml").unlink()
    (project / ".venv-workers" / ".synced").unlink()
    assert freshness.needed(project, "1.17.9")


def test_without_a_project_it_is_needed(session: Session) -> None:
    assert freshness.needed(session.project, "1.17.9")
