"""The worker's packages laid out as pywrangler leaves them, or left to it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.features.kit import syncing
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.plan import Native
from pyodide_offline.workers.toolchain import freshness, interpreter
from pyodide_offline.workers.toolchain.interpreter import Interpreter
from tests.peers import wheels
from tests.unit.features.kit.test_pack import TOOLS
from tests.unit.kits import racks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
VERSION = "1.17.9"


@pytest.fixture
def placed(session, tmp_path, monkeypatch):
    """Place the packages of a kit into the project; the digests that it was made for."""
    project = session.project
    (project / "pyproject.toml").write_text("[project]\n")
    made = Interpreter("3.14.2", "request", "pyodide-3.14.2", tmp_path)
    monkeypatch.setattr(interpreter, "provide", lambda *_: made)
    monkeypatch.setattr(interpreter, "publish", lambda *_: tmp_path / "shown")
    files = [
        wheels.wheel(tmp_path, "starlette"),
        wheels.wheel(tmp_path, "fast", files={"fast/__init__.py": "", "fast/x.so": ""}),
        wheels.wheel(tmp_path, "pyodide-py"),
        wheels.wheel(tmp_path, "twice", files={"starlette.py": "other\n"}),
    ]
    plan = racks.plan(
        Native(beside=(files[2].name,)),
        series="3.14",
        inside=(files[0].name, files[1].name),
        pure=(files[1].name,),
    )
    alone = replace(session, environ={**session.environ, "PATH": str(tmp_path / "none")})
    made_for = {"pyproject.toml": str(racks_digest(project / "pyproject.toml"))}

    def place(series: str = "3.14", *, clash: bool = False) -> bool:
        inside = (*plan.inside, files[3].name) if clash else plan.inside
        rack = racks.rack(
            tmp_path, [(one, racks.item(one)) for one in files], replace(plan, inside=inside)
        )
        with Crew(2) as crew:
            return syncing.place(alone, TOOLS, series, rack, crew, made_for)

    return place


def racks_digest(path: Path) -> str:
    return f"sha256:{racks.item(path).sha256}"


def test_the_project_is_in_sync_and_pywrangler_finds_what_it_makes(session, placed):
    assert placed()
    project = session.project
    assert not freshness.needed(project, VERSION)
    workers, modules = project / freshness.VENV, project / freshness.MODULES
    assert sorted(one.name for one in modules.iterdir() if "dist-info" not in one.name) == [
        ".synced",
        "fast",
        "pyvenv.cfg",
        "starlette.py",
    ]
    assert not list(project.rglob("*.so"))
    for environment in (workers, workers / "pyodide-venv"):
        text = (environment / "pyvenv.cfg").read_text()
        assert "version_info = 3.14.2" in text
        assert (environment / "bin" / "activate").is_file()
    beside = workers / "lib" / "python3.14" / "site-packages"
    assert (beside / "pyodide_py.py").is_file()
    assert (beside / "starlette.py").is_file()
    assert freshness.needed(project, "another version")
    assert not placed()


def test_what_was_left_half_way_is_begun_anew(session, placed):
    workers = session.project / freshness.VENV
    workers.mkdir()
    (workers / syncing._UNFINISHED).touch()
    (workers / "leftover").touch()
    assert placed()
    assert not (workers / "leftover").exists()
    assert not (workers / syncing._UNFINISHED).exists()


def test_a_users_environment_is_left_to_pywrangler(session, placed):
    workers = session.project / freshness.VENV
    workers.mkdir()
    (workers / "mine").touch()
    assert not placed()
    assert (workers / "mine").exists()


@pytest.mark.parametrize("name", ["pyproject.toml", "pylock.toml"])
def test_another_project_than_the_kits_is_left_to_pywrangler(session, placed, name):
    (session.project / name).write_text("[project]\nname='other'\n")
    assert not placed()
    assert not (session.project / freshness.VENV).exists()


def test_another_python_is_left_to_pywrangler(placed):
    assert not placed("3.13")


def test_two_wheels_with_one_file_are_left_to_uv(session, placed):
    assert not placed(clash=True)
    assert not (session.project / freshness.VENV).exists()
    assert freshness.needed(session.project, VERSION)
