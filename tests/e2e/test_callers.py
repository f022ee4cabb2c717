"""What starts workerd besides `wrangler dev`: miniflare's API, getPlatformProxy, Vite, Vitest.

Seen with @cloudflare/vite-plugin 1.64.0 and Vitest 5.1.1: Vite parses a worker's entry as
JavaScript ("Failed to parse source for import analysis"), with or without this product, so
there the worker in Python runs beside it and is bound as a service. Vitest runs tests in
JavaScript, and a worker in Python as a second one. The older @cloudflare/vitest-pool-workers
0.23.0 does the same with Vitest 4; with Vitest 5 it starts no worker of any language.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pyodide_offline.pytest_plugin import Starter
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import vendored

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WORKERS = Path(__file__).parent / "workers"
CALLERS = WORKERS / "callers"


def run(
    machine: Machine, project: Path, *words: str, options: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    done = machine.call(project, "run", *options, "--", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a worker"
    folder.mkdir()
    for path in CALLERS.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def modules(machine: Machine, prefetched: Path) -> Path:
    """The folder above the managed wrangler's node_modules."""
    told = subprocess.run(
        [PROGRAM, "toolchain", "list", "--json"],
        cwd=prefetched,
        env=machine.env,
        capture_output=True,
        check=True,
    )
    paths = {one["what"]: Path(one["path"]) for one in json.loads(told.stdout)}
    return paths["wrangler"].parents[1]


@pytest.mark.parametrize(
    ("script", "argument", "answer"),
    [
        ("miniflare.mjs", "worker.py", "200 Python 3.14.2, in KV"),
        ("platform.mjs", "wrangler.jsonc", "Ada"),
    ],
)
def test_a_script_that_uses_the_api(
    machine: Machine, modules: Path, project: Path, script: str, argument: str, answer: str
) -> None:
    done = run(machine, project, "node", script, str(modules), argument, options=("--offline",))
    assert answer in done.stdout.splitlines()


@pytest.mark.registry
def test_a_worker_of_vites_has_one_in_python_as_a_service(
    machine: Machine, prefetched: Path, tmp_path: Path, start_worker: Starter
) -> None:
    front = tmp_path / "front"
    shutil.copytree(CALLERS / "vite", front)
    run(machine, front, "npm", "install", "--no-audit", "--no-fund")
    # Below it, so that both have the same wrangler: releases register in different folders.
    back = front / "back"
    shutil.copytree(WORKERS / "pair" / "back", back)
    vendored.deal(prefetched / "python_modules", back)
    (config,) = back.glob("wrangler.*")
    config.write_text(config.read_text().replace("2026-11-17", "2026-10-12"))
    start_worker(back, [PROGRAM, "run", "--", "npx", "wrangler", "dev"], machine.env)
    vite = [PROGRAM, "run", "--", "npx", "vite", "dev", "--host", "127.0.0.1", "--port", "{port}"]
    served = start_worker(front, vite, machine.env)
    assert served.get("/") == "Vite was told: back, asked for something"


@pytest.mark.registry
def test_vitests_tests_reach_a_worker_in_python(
    machine: Machine, prefetched: Path, tmp_path: Path
) -> None:
    project = tmp_path / "tests of a worker"
    shutil.copytree(CALLERS / "vitest", project)
    shutil.copy(CALLERS / "worker.py", project)
    run(machine, project, "npm", "install", "--no-audit", "--no-fund")
    done = run(machine, project, "npx", "vitest", "run")
    assert "1 passed" in done.stdout
