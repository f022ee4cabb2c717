import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import (
    OfflineError,
    ProjectError,
    StorageError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import fallback, freshness, interpreter, pip, sync
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.interpreter import Interpreter
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.pywrangler import Pywrangler
from pyodide_offline.workers.toolchain.wrangler import Wrangler
from tests.conftest import Recorder
from tests.unit.workers.toolchain.conftest import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
# Writes what it was called with, and makes environments: native ones of python3.13 only.
UV = """
echo "uv $UV_OFFLINE|$*|${VIRTUAL_ENV##*/}" >>"$LOG"
case "$1 $4" in
  "venv python3.14") echo "error: No interpreter found" >&2; exit 2 ;;
  venv*) mkdir -p "$2/bin"; touch "$2/bin/python"; echo "version_info = 3.14.2" >"$2/pyvenv.cfg" ;;
  *) [ ! -f fails ] || [ "$UV_OFFLINE" = 1 ] || { cat fails >&2; exit 1; }
     [ ! -f fails-offline ] || [ "$UV_OFFLINE" != 1 ] || { cat fails-offline >&2; exit 1; } ;;
esac
"""
PYWRANGLER = """
echo "pywrangler $UV_OFFLINE|$*" >>"$LOG"
[ ! -f sync-fails ] || { echo "ERROR    It broke"; exit 1; }
mkdir python_modules
for one in python_modules .venv-workers; do printf 1.17.9 >$one/.synced; done
"""


@pytest.fixture
def project(session: Session) -> Path:
    (session.project / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    return session.project


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def tools(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    made = Interpreter("3.14.2", "the-interpreter", "name", tmp_path)
    monkeypatch.setattr(interpreter, "provide", lambda *_: made)
    monkeypatch.setattr(interpreter, "publish", lambda *_: tmp_path / "pythons")
    monkeypatch.setattr(pip, "configuration", lambda _: {})
    wrangler = Wrangler(tmp_path, "4", "*", tmp_path, tmp_path, tmp_path / "x", managed=False)
    node = Node(tmp_path / "node", "24.0.0", ("npm",), tmp_path, managed=False)
    pywrangler = Pywrangler(
        program("pywrangler", PYWRANGLER), "1.17.9", program("uv", UV), managed=False
    )
    return Toolchain(node, wrangler, pywrangler)


def _synced(project: Path, version: str = "1.17.9") -> None:
    for folder in ("python_modules", ".venv-workers"):
        (project / folder).mkdir()
        (project / folder / ".synced").write_text(version)
    os.utime(project / "pyproject.toml", (1, 1))


def _calls(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_fresh_asks_nobody(session: Session, project: Path, tools: Toolchain) -> None:
    _synced(project)
    report = sync.prepare(session, tools, "3.14", reachable=lambda: 1 / 0 > 0)
    assert report == sync.SyncReport("fresh", "3.14")


def test_left_to_pywrangler_where_all_answers(
    session: Session, project: Path, tools: Toolchain, log: Path
) -> None:
    report = sync.prepare(session, tools, "3.12", reachable=lambda: True)
    assert report == sync.SyncReport("left", "3.12")
    assert _calls(log) == []
    assert not (project / ".venv-workers").exists()


def test_synced(session: Session, project: Path, tools: Toolchain, log: Path) -> None:
    report = sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert report.action == "synced"
    assert report.environment["UV_OFFLINE"] == "1"
    venv = project / ".venv-workers"
    assert _calls(log) == [
        f"uv |venv {venv} --python python3.14|",
        f"uv |venv {venv} --python the-interpreter|",
        f"uv |venv {venv}/pyodide-venv --python the-interpreter|",
        f"uv |pip compile {project}/pyproject.toml {venv}/fill.txt --python the-interpreter "
        f"--no-header -o {venv}/pylock.fill.toml --quiet --no-build|",
        f"uv |pip install -r {venv}/pylock.fill.toml --preview-features pylock|pyodide-venv",
        f"uv |pip install -r {project}/pyproject.toml pyodide-py workers-runtime-sdk|.venv-workers",
        "pywrangler 1|sync",
    ]
    assert sorted(one.name for one in venv.iterdir()) == [
        ".synced",
        "bin",
        "pyodide-venv",
        "pyvenv.cfg",
    ]
    assert not freshness.needed(project, "1.17.9")


def test_good_environments_are_kept_and_broken_ones_made_anew(
    session: Session, project: Path, tools: Toolchain, log: Path
) -> None:
    sync.prepare(session, tools, "3.14", reachable=lambda: False)
    shutil.rmtree(project / "python_modules")
    log.unlink()
    sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert not [call for call in _calls(log) if "venv " in call]
    shutil.rmtree(project / "python_modules")
    python = project / ".venv-workers" / "pyodide-venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/absent/python")
    log.unlink()
    sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert [call for call in _calls(log) if "|venv " in call] == [
        f"uv |venv {project}/.venv-workers/pyodide-venv --python the-interpreter|"
    ]


def test_builds_where_the_project_allows_it(
    session: Session, project: Path, tools: Toolchain, log: Path
) -> None:
    (project / "pyproject.toml").write_text("[tool.pywrangler]\nallow-build = true\n")
    sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert not [call for call in _calls(log) if "--no-build" in call]


def test_offline_asks_nobody(session: Session, project: Path, tools: Toolchain, log: Path) -> None:
    offline = replace(session, offline=True)
    sync.prepare(offline, tools, "3.14", reachable=lambda: 1 / 0 > 0)
    assert all(call.startswith(("uv 1|", "pywrangler 1|")) for call in _calls(log))
    assert project.is_dir()


def test_with_a_mirror_nobody_beside_it_is_asked(
    session: Session, project: Path, tools: Toolchain
) -> None:
    environ = {**session.environ, "PYODIDE_OFFLINE_MIRROR": "https://mirror.test"}
    named = replace(session, environ=environ)
    found = sync.prepare(named, tools, "3.14", reachable=lambda: 1 / 0 > 0)
    assert found.action == "synced"


def test_offline_without_a_package(
    session: Session, project: Path, tools: Toolchain, log: Path
) -> None:
    (project / "fails-offline").write_text("Because starlette was not found in the cache and so on")
    with pytest.raises(OfflineError, match="starlette"):
        sync.prepare(replace(session, offline=True), tools, "3.14")
    assert not [call for call in _calls(log) if call.startswith("pywrangler")]


def test_an_index_out_of_reach(
    session: Session, project: Path, tools: Toolchain, log: Path, progress: Recorder
) -> None:
    (project / "fails").write_text("error: Failed to fetch: https://index.test/\n")
    assert sync.prepare(session, tools, "3.14", reachable=lambda: False).action == "synced"
    assert [call[:5] for call in _calls(log)][-4:] == ["uv 1|", "uv 1|", "uv 1|", "pywra"]
    assert len(progress.notes) == 1


@pytest.mark.usefixtures("log")
def test_pywrangler_fails(session: Session, project: Path, tools: Toolchain) -> None:
    (project / "sync-fails").touch()
    with pytest.raises(ToolchainError) as raised:
        sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert raised.value.why == "It broke"


@pytest.mark.usefixtures("log")
def test_broken_pyproject(session: Session, project: Path, tools: Toolchain) -> None:
    (project / "pyproject.toml").write_text("[project")
    with pytest.raises(ProjectError, match="cannot be read"):
        sync.prepare(session, tools, "3.14", reachable=lambda: False)


def test_a_python_that_npm_has_no_pyodide_for(
    session: Session, project: Path, tools: Toolchain
) -> None:
    assert project.is_dir()
    with pytest.raises(UnsupportedError, match=r"official Python 3\.12 bundle"):
        sync.prepare(session, tools, "3.12", reachable=lambda: False)


@pytest.mark.usefixtures("log")
def test_a_project_that_cannot_be_written(
    session: Session, project: Path, tools: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(project / ".venv-workers"))

    monkeypatch.setattr(sync, "_clear", refuse)
    with pytest.raises(StorageError, match="venv-workers: Permission denied"):
        sync.prepare(session, tools, "3.14", reachable=lambda: False)


def test_without_a_project(session: Session, tools: Toolchain) -> None:
    with pytest.raises(ProjectError, match=r"pyproject\.toml"):
        sync.prepare(session, tools, "3.14", reachable=lambda: True)


def test_a_command_that_syncs_again_is_prepared_although_in_sync(
    session: Session, tools: Toolchain, project: Path, log: Path
) -> None:
    _synced(project)
    assert sync.prepare(session, tools, "3.14", reachable=lambda: False).action == "fresh"
    shutil.rmtree(project / "python_modules")
    again = sync.prepare(session, tools, "3.14", always=True, reachable=lambda: False)
    assert again.action == "synced"
    assert _calls(log)[-1].startswith("pywrangler 1|sync")


def test_a_package_that_does_without_its_compiled_part_gets_a_pure_wheel(
    session: Session,
    project: Path,
    tools: Toolchain,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = "echo 'markupsafe has no usable wheels' >&2; exit 1"
    program(
        "uv", f'case "$*$UV_FIND_LINKS" in *compile*/wheels) ;; *compile*) {refusal} ;; esac\n{UV}'
    )
    made: list[str] = []

    def provide(*arguments: object) -> dict[str, str]:
        made.append(str(arguments[-1]))
        return {"UV_FIND_LINKS": "/wheels"}

    monkeypatch.setattr(fallback, "provide", provide)
    report = sync.prepare(session, tools, "3.14", reachable=lambda: False)
    assert made == ["3.14"]
    assert report.environment["UV_FIND_LINKS"] == "/wheels"


def test_a_package_that_needs_its_compiled_part_is_named(
    session: Session, project: Path, tools: Toolchain, program: Program
) -> None:
    refusal = "echo 'numpy has no usable wheels' >&2; exit 1"
    program("uv", f'case "$*" in *compile*) {refusal} ;; esac\n{UV}')
    with pytest.raises(ProjectError, match="no wheel for Python Workers of numpy"):
        sync.prepare(session, tools, "3.14", reachable=lambda: False)
