"""What a command finds in its environment."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.workers import environment, shim
from pyodide_offline.workers.toolchain import launch, npx


class FakeChain:
    """A toolchain of nothing: the real one is asked in tests/e2e."""

    def __init__(self, folder: Path) -> None:
        self.wrangler = type("W", (), {"workerd": folder / "workerd"})()
        self.node = None

    def environment(self, environ, extra=None):
        return {**environ, **(extra or {}), "PATH": "/tools:/bin"}


@pytest.fixture
def found(session, monkeypatch):
    monkeypatch.setattr(npx, "first", lambda _session, _node, _wrangler, environ: environ)
    return FakeChain(session.project)


def test_the_shim_is_told_of_workerd_and_folder(session, found):
    made = environment.of(session, found, Path("/w/workerd"), {"UV_X": "1"})
    assert made[shim.WORKERD] == "/w/workerd"
    assert made[shim.FOLDER] == str(session.cache_dir)
    assert made["MINIFLARE_WORKERD_PATH"] == str(environment.launcher(session))
    assert (made["UV_X"], made["PATH"]) == ("1", "/tools:/bin")
    assert shim.SOCKET not in made
    assert environment.OFFLINE_VARIABLE not in made


def test_compiled_code_is_kept_in_the_store(session, found):
    made = environment.of(session, found, Path("w"))
    for name in ("NODE_COMPILE_CACHE", launch.KEPT_CODE):
        assert Path(made[name]).parent == session.store.root / "v1"


def test_calls_home_are_off_unless_the_user_wants_them(session, found):
    assert environment.of(session, found, Path("w"))["WRANGLER_SEND_METRICS"] == "false"
    wanted = replace(session, environ={**session.environ, "WRANGLER_SEND_METRICS": "true"})
    assert environment.of(wanted, found, Path("w"))["WRANGLER_SEND_METRICS"] == "true"


def test_offline_holds_for_the_shim_uv_and_npm(session, found):
    made = environment.of(replace(session, offline=True), found, Path("w"))
    names = (environment.OFFLINE_VARIABLE, "UV_OFFLINE", "npm_config_offline")
    assert [made[name] for name in names] == ["1", "1", "true"]


@pytest.mark.parametrize("named", ["/x/pyodide-offline-workerd", "/x/pyodide-offline-workerd.exe"])
def test_the_shim_is_never_taken_for_workerd(session, found, named):
    own = environment.workerd({"MINIFLARE_WORKERD_PATH": "/my/workerd"}, found)
    assert own == Path("/my/workerd")
    environ = {"MINIFLARE_WORKERD_PATH": named}
    assert environment.workerd(environ, found) == session.project / "workerd"


def test_the_launcher_starts_the_shim_from_a_path_with_spaces(session):
    launcher = environment.launcher(session)
    assert " " in str(launcher)
    done = subprocess.run([launcher], capture_output=True, check=False, env={shim.WORKERD: ""})
    assert done.returncode == 127
    assert b"names no workerd" in done.stderr


def test_the_launcher_is_written_once(session):
    before = environment.launcher(session).stat().st_mtime_ns
    assert environment.launcher(session).stat().st_mtime_ns == before
