"""The Starlette example on the first wrangler, one of the middle and the last; on either Python."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import ROOT, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# An interface of bundles each: read as data without a digest; the earlier module, under a
# flag that a dated one would win over; the newest.
WRANGLERS = ["4.57.0", "4.127.1", "4.164.0"]


@pytest.mark.parametrize("wrangler", WRANGLERS)
def test_home_form_and_counter_answer(machine: Machine, wrangler: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "matrix.py", "--program", PROGRAM, wrangler],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    _, _, table = done.stdout.partition("WRANGLER ")
    rows = [line.split() for line in table.splitlines()[1:] if line.strip()]
    assert [row[0] for row in rows] == [wrangler] * (1 if wrangler == "4.57.0" else 2), done.stdout
    assert all(row[4:7] == ["ok", "ok", "ok"] for row in rows), done.stdout


def test_the_same_worker_runs_on_another_python(
    machine: Machine, prefetched: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(prefetched, project, symlinks=True)
    (project / "pyproject.toml").unlink()
    entry = project / "src" / "entry.py"
    optional = "def unused():\n    import sqlite3\n\n\n"
    entry.write_text(entry.read_text().replace("HOME = ", optional + "HOME = ", 1))
    command = [PROGRAM, "run", "--python", "3.13", "--", "wrangler", "dev"]
    with started(command, project, env=machine.env, log=tmp_path / "log", timeout=600) as server:
        assert server.get("/version").startswith("3.13.")
        assert int(server.get("/counter")) >= 1
        assert "no sqlite3 (imported by src/entry.py)" in server.log
        assert "--bundle official" in server.log
