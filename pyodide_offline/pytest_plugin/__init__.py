"""pytest's fixtures for a worker: ``worker``, ``worker_session``, ``start_worker``.

Every pytest of the user's environment loads this module, so it imports nothing but the
standard library and pytest; the rest is loaded by the first test that wants a worker.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyodide_offline.pytest_plugin.server import Server

_TIMEOUT = 180.0
# What the waiting `run` puts into its command's environment (workers/shim names it).
_SOCKET = "PYODIDE_OFFLINE_SOCKET"
# Where workers find each other by name: wrangler, miniflare under another tool, and both
# from 4.160 on read a variable each.
_REGISTRIES = ("WRANGLER_REGISTRY_PATH", "MINIFLARE_REGISTRY_PATH", "CLOUDFLARE_DEV_REGISTRY_PATH")
_BROUGHT = ("wrangler", "pywrangler", "npx")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the same as settings of pytest's configuration."""
    group = parser.getgroup("worker", "Cloudflare Python Workers (pyodide-offline)")
    group.addoption(
        "--worker-project",
        metavar="DIR",
        help="folder of the worker that the fixtures start (default: pytest's root folder)",
    )
    group.addoption(
        "--worker-timeout",
        type=float,
        metavar="SECONDS",
        help=f"how long a worker may take to its first answer (default: {_TIMEOUT:.0f})",
    )
    group.addoption(
        "--worker-arg",
        action="append",
        default=[],
        metavar="ARG",
        help="one more argument for `wrangler dev`, may be repeated: --worker-arg=--env=staging",
    )
    parser.addini("worker_project", "like --worker-project, relative to the root folder")
    parser.addini("worker_timeout", "like --worker-timeout")
    parser.addini("worker_args", "like --worker-arg, before those", type="args", default=[])


class Starter:
    """Starts workers, each on a port and in a state folder of its own, and ends them all."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._ends = ExitStack()
        self.started: list[Server] = []

    def __call__(
        self,
        project: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Server:
        """Start a worker and return its server once it answers.

        Without ``command`` it is ``pywrangler dev`` where the project has a pyproject.toml,
        else ``wrangler dev``. In it ``{port}`` and ``{state}`` are replaced; what names
        neither gets wrangler's options for both. ``env`` is added to the environment.
        """
        from pyodide_offline.errors import PyodideOfflineError
        from pyodide_offline.pytest_plugin import server

        folder = Path(project) if project is not None else self._project()
        place = self._folder / f"worker-{len(self.started)}"
        place.mkdir(parents=True)
        environ = {**os.environ, **(env or {})}
        for name in _REGISTRIES:
            environ.setdefault(name, str(self._folder / "registry"))
        port, inspector = server.Port(), server.Port()
        self._ends.callback(port.release)
        self._ends.callback(inspector.release)
        words = _filled(
            [*_through(command or _default(folder), folder, environ), *self._arguments()],
            port.number,
            inspector.number,
            place / "state",
        )
        patience = self._timeout() if timeout is None else timeout
        failure = ""
        try:
            one = server.Server.start(
                words, folder, port=port.number, env=environ, log=place / "log"
            )
            self._ends.callback(one.stop)
            self.started.append(one)
            one.wait(patience)
        except PyodideOfflineError as error:
            failure = "\n".join(error.lines())
        else:
            return one
        # Out of the handler, or pytest shows both errors.
        pytest.fail(f"{failure}\n($ {shlex.join(words)})", pytrace=False)

    def end(self) -> None:
        """End all that was started, the last one first."""
        self._ends.close()

    def _project(self) -> Path:
        given = self._config.getoption("worker_project")
        if given:
            return Path(self._config.invocation_params.dir, given)
        return self._config.rootpath / str(self._config.getini("worker_project") or ".")

    def _arguments(self) -> list[str]:
        return [*self._config.getini("worker_args"), *self._config.getoption("worker_arg")]

    def _timeout(self) -> float:
        given = self._config.getoption("worker_timeout") or self._config.getini("worker_timeout")
        try:
            return float(given or _TIMEOUT)
        except ValueError:
            raise pytest.UsageError(f"worker_timeout: {given!r} is no number of seconds") from None


@pytest.fixture
def start_worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starter]:
    """Start workers: ``start_worker(project=…, command=…, env=…, timeout=…)``."""
    yield from _starter(request.config, tmp_path / "workers")


@pytest.fixture
def worker(start_worker: Starter) -> Server:
    """The project's worker, started for this test alone, with empty storage."""
    return start_worker()


@pytest.fixture(scope="session")
def worker_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The project's worker, started once for all tests of this process."""
    for starter in _starter(request.config, tmp_path_factory.mktemp("worker-session")):
        yield starter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, object]:
    """Show the end of the workers' logs below a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for name, server in _servers(getattr(item, "funcargs", {})):
            report.sections.append((f"{name}: end of the log", server.end()))
    return report


def _servers(funcargs: Mapping[str, object]) -> Iterator[tuple[str, Server]]:
    for name in ("worker_session", "start_worker"):
        value = funcargs.get(name)
        if isinstance(value, Starter):
            for number, server in enumerate(value.started):
                yield f"worker {number}", server
        elif value is not None and "pyodide_offline.pytest_plugin.server" in sys.modules:
            from pyodide_offline.pytest_plugin.server import Server

            if isinstance(value, Server):
                yield name, value


def _starter(config: pytest.Config, folder: Path) -> Iterator[Starter]:
    starter = Starter(config, folder)
    try:
        yield starter
    finally:
        starter.end()


def _default(project: Path) -> list[str]:
    return ["pywrangler" if (project / "pyproject.toml").is_file() else "wrangler", "dev"]


def _through(command: Sequence[str], project: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the command with a `run` in front that brings wrangler, if none has done so."""
    named = Path(command[0]).name in _BROUGHT
    if not named or (environ.get(_SOCKET) and shutil.which(command[0], path=environ.get("PATH"))):
        return list(command)
    # -P: a module of the worker's project must not hide one that is imported here.
    program = [sys.executable, "-P", "-m", "pyodide_offline"]
    return [*program, "run", "-C", str(project), "--", *command]


def _filled(command: Sequence[str], port: int, inspector: int, state: Path) -> list[str]:
    """Return the command with port and state folder in it."""
    filled = [word.replace("{port}", str(port)).replace("{state}", str(state)) for word in command]
    if filled == list(command):
        filled += ["--ip", "127.0.0.1", "--port", str(port), "--persist-to", str(state)]
        # Two that start at once would both take the same default for their debugger.
        filled += ["--inspector-port", str(inspector)]
    return filled
