"""What every test gets: a HOME, a store and an environment of its own.

The default folders raise: a test that would touch the real store or the real cache
folder fails. Tests that need the real chain (e2e, registry) keep the real environment.
"""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyodide_offline import paths
from pyodide_offline.network.connect import LOCKOUT
from pyodide_offline.progress import Task
from pyodide_offline.session import Session
from pyodide_offline.store import Store

_REAL = {"e2e", "registry"}
_FOREIGN = ("npm_config_", "pyodide_offline_", "miniflare_", "wrangler_", "cloudflare_", "uv_")
_NETWORK = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_TRUST = {
    "ssl_cert_file",
    "ssl_cert_dir",
    "node_extra_ca_certs",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "pip_cert",
}


@pytest.fixture(autouse=True)
def _isolated(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LOCKOUT.forget()  # another test's proxy may have had the port of this one's
    if _REAL & {mark.name for mark in request.node.iter_markers()}:
        return
    for name in list(os.environ):
        if name.lower().startswith(_FOREIGN) or name.lower() in _NETWORK | _TRUST:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    # What the machine's own files say to pip and npm is not these tests' matter.
    for name in ("PIP_CONFIG_FILE", "npm_config_globalconfig"):
        monkeypatch.setenv(name, os.devnull)
    for function in (paths.store_dir, paths.bundle_cache_dir):
        monkeypatch.setattr(paths, function.__name__, _named_only(function))


def _named_only(
    function: Callable[[Mapping[str, str]], Path],
) -> Callable[[Mapping[str, str]], Path]:
    """Wrap a function of ``paths`` so that its default is refused."""
    variable = {
        "store_dir": paths.STORE_VARIABLE,
        "bundle_cache_dir": paths.CACHE_VARIABLE,
    }[function.__name__]

    @functools.wraps(function)
    def guarded(environ: Mapping[str, str]) -> Path:
        assert environ.get(variable), f"a test would use the real folder: set {variable}"
        return function(environ)

    return guarded


@dataclass
class _RecordedTask:
    total: int | None
    done: int = 0
    finished: bool = False

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        self.finished = True


@dataclass
class Recorder:
    """A progress listener that keeps what it heard."""

    tasks: dict[str, list[_RecordedTask]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def task(self, label: str, total: int | None) -> Task:
        task = _RecordedTask(total)
        self.tasks.setdefault(label, []).append(task)
        return task

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store with spaces")


@pytest.fixture
def session(tmp_path: Path, store: Store, progress: Recorder) -> Session:
    """A session on the process's own (emptied) environment, so that setenv reaches it."""
    project = tmp_path / "project"
    project.mkdir()
    return Session(store, os.environ, project, tmp_path / "cache", progress=progress)
