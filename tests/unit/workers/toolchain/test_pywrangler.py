import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import OfflineError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip, pywrangler
from tests.unit.workers.toolchain.conftest import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def _packages(site: Path, version: str = "1.17.9", least: str = "(0, 13, 4)") -> None:
    (site / "pywrangler").mkdir(parents=True)
    (site / "pywrangler" / "utils.py").write_text(f"import absent\nMIN_UV_VERSION = {least}\n")
    (site / f"workers_py-{version}.dist-info").mkdir()


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bin_dir: Path) -> Path:
    """An environment of the user's with a pywrangler, first on PATH."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    executable = folder / "bin" / "pywrangler"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    _packages(folder / "lib" / "python3.12" / "site-packages")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{bin_dir}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def pypi(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pip that brings a pywrangler which prints its arguments, and a uv 0.14.0."""
    asked: list[str] = []

    def install(session: Session, target: Path, requirements: Sequence[str]) -> None:
        assert not session.offline
        asked.extend(requirements)
        _packages(target)
        (target / "pywrangler" / "__init__.py").touch()
        (target / "pywrangler" / "cli.py").write_text(
            "import sys\ndef app():\n    print(*sys.argv)\n    return 7\n"
        )
        info = target / "workers_py-1.17.9.dist-info"
        (info / "METADATA").write_text("Name: workers-py\nVersion: 1.17.9\n")
        (info / "entry_points.txt").write_text(
            "[console_scripts]\npywrangler = pywrangler.cli:app\n"
        )
        (target / "bin").mkdir()
        uv = target / "bin" / "uv"
        uv.write_text("#!/bin/sh\necho uv 0.14.0\n")
        uv.chmod(0o755)

    monkeypatch.setattr(pip, "install", install)
    return asked


def test_the_users_own(session: Session, prefix: Path, program: Program) -> None:
    uv = program("uv", "echo uv 0.13.4")
    assert pywrangler.find(session) == pywrangler.Pywrangler(
        prefix / "bin" / "pywrangler", "1.17.9", uv, managed=False
    )


def test_the_one_in_the_projects_environment(
    session: Session, prefix: Path, program: Program, monkeypatch: pytest.MonkeyPatch, bin_dir: Path
) -> None:
    program("uv", "echo uv 0.13.4")
    monkeypatch.setenv("PATH", str(bin_dir))
    prefix.rename(session.project / ".venv")
    found = pywrangler.find(session)
    assert found
    assert found.executable == session.project / ".venv" / "bin" / "pywrangler"


def test_a_uv_that_is_too_old(session: Session, prefix: Path, program: Program) -> None:
    program("uv", "echo uv 0.13.3")
    assert prefix.is_dir()
    assert pywrangler.find(session) is None


def test_the_users_own_with_a_managed_uv(
    session: Session, prefix: Path, program: Program, pypi: list[str]
) -> None:
    program("uv", "echo uv 0.13.3")
    found = pywrangler.provide(session)
    assert pypi == list(pywrangler.REQUIREMENTS)
    assert found.executable == prefix / "bin" / "pywrangler"
    assert str(session.store.root) in str(found.uv)


def test_of_several_pythons(session: Session, prefix: Path, program: Program) -> None:
    program("uv", "echo uv 0.14.0")
    _packages(prefix / "lib" / "python3.13" / "site-packages", "1.17.8")
    assert pywrangler.find(session) is None


@pytest.mark.parametrize("least", ["None", "'0.13.4'", "(0, 13)", "unknown()"])
def test_a_constant_that_cannot_be_read(tmp_path: Path, least: str) -> None:
    _packages(tmp_path, least=least)
    assert pywrangler.least_uv(tmp_path) is None


def test_no_source_to_read(tmp_path: Path) -> None:
    assert pywrangler.least_uv(tmp_path) is None


@pytest.mark.usefixtures("bin_dir", "pypi")
def test_provided_once_and_movable(session: Session, tmp_path: Path) -> None:
    made = pywrangler.provide(session)
    assert made.managed
    assert made.version == "1.17.9"
    assert pywrangler.provide(replace(session, offline=True)) == made
    moved = tmp_path / "moved"
    session.store.root.rename(moved)
    program = moved / made.executable.relative_to(session.store.root)
    done = subprocess.run([program, "dev", "a b"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "pywrangler dev a b\n")


@pytest.mark.usefixtures("bin_dir")
def test_pip_brings_a_uv_that_is_too_old(
    session: Session, pypi: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pywrangler, "least_uv", lambda _: (9, 0, 0))
    with pytest.raises(ToolchainError, match=r"9\.0\.0 or newer; pip brought 0\.14\.0"):
        pywrangler.provide(session)
    assert pypi
    assert session.store.entries() == []


@pytest.mark.usefixtures("bin_dir")
def test_offline(session: Session) -> None:
    with pytest.raises(OfflineError):
        pywrangler.provide(replace(session, offline=True))
