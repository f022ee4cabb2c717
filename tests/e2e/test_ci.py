"""The jobs of docs/ci.md do what they promise: their own lines, in a folder of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyodide_offline.pytest_plugin import server as plugin
from tests.e2e.conftest import Machine
from tests.peers.wrangler import ROOT, copy_example, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
DOCUMENT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found[number]


@pytest.fixture(scope="module")
def runner(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A runner's environment: a fresh Python first on PATH, and our wheel for its pip."""
    folder = tmp_path_factory.mktemp("runner")
    wheels = folder / "wheels"
    venv = folder / "venv"
    for command in (
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(ROOT)],
        [sys.executable, "-m", "venv", str(venv)],
    ):
        subprocess.run(command, check=True, timeout=300)
    path = os.pathsep.join([str(venv / "bin"), machine.env["PATH"]])
    return {**machine.env, "PATH": path, "PIP_FIND_LINKS": wheels.as_uri(), "CI": "true"}


def play(script: str, project: Path, environ: dict[str, str], program: str = "bash") -> str:
    """Run a job's lines as its runner does, each failure ending it, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = re.sub(r"\b8787\b", str(port), script)
    child = subprocess.Popen(
        [program, "-e", "-c", f"{script}\necho; echo port {port}"],
        cwd=project,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    said = ""
    try:
        # What the job left in the background holds the output open, so not to its end.
        for line in child.stdout or ():
            said += line
            if line == f"port {port}\n":
                return said
        raise AssertionError(said)
    finally:
        # Runners end what a job leaves running.
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_the_github_job(
    machine: Machine, prefetched: Path, tmp_path: Path, runner: dict[str, str]
) -> None:
    job = yaml.safe_load(block("yaml"))
    # YAML 1.1 reads the key `on` as true; GitHub does not.
    assert job[True] == ["push"]
    steps: list[dict[str, Any]] = job["jobs"]["test"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    file = tmp_path / "github.env"
    file.touch()
    environ = {**runner, "GITHUB_ENV": str(file)}
    said = ""
    for step in steps:
        if "run" in step:
            pairs = (line.partition("=") for line in file.read_text().splitlines())
            environ.update((name, value) for name, _, value in pairs)
            said += play(step["run"], prefetched, environ)
    assert re.search(r"^3\.14\.", said, re.MULTILINE), said


def test_the_gitlab_job(
    machine: Machine, prefetched: Path, tmp_path: Path, runner: dict[str, str]
) -> None:
    job = yaml.safe_load(block("yaml", 1))["test"]
    assert job["variables"] == {"PYODIDE_OFFLINE_STORE_DIR": "$CI_PROJECT_DIR/.pyodide-offline"}
    assert job["cache"]["paths"] == [".pyodide-offline"]
    # GitLab puts both parts into one script, and its shell goes on after a line with &.
    lines = "\n".join([*job["before_script"], *job["script"]])
    said = play(lines, prefetched, runner)
    assert re.search(r"^3\.14\.", said, re.MULTILINE), said


def test_the_images_lines(machine: Machine, tmp_path: Path, runner: dict[str, str]) -> None:
    project = copy_example("starlette", tmp_path / "app")
    instructions = [line.split(" ", 1) for line in block("dockerfile").splitlines()]
    assert instructions[0] == ["FROM", "python:3.12"]
    for word, rest in instructions:
        if word == "RUN":
            play(rest, project, runner, program="sh")
    (command,) = [json.loads(rest) for word, rest in instructions if word == "CMD"]
    assert command[-2:] == ["--ip", "0.0.0.0"]  # noqa: S104 - a container's own network
    log = tmp_path / "log"
    with started(command[:-2], project, env=runner, log=log, timeout=600) as server:
        assert isinstance(server, plugin.Server)
        assert server.get("/version").startswith("3.14.")
