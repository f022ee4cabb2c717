"""The pytest plugin on the real chain: in a pytest of the user's, alone and under `run`."""

import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline.pytest_plugin.server import MARK, marked
from tests.e2e.conftest import PROGRAM, Machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# Each starts with a counter of its own, so none of them may see another's visit.
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(2))
def test_alone(worker, number):
    assert int(worker.get("/counter")) == 1
    assert "Hello, Ada &amp; Grace!" in worker.post("/form", name="Ada & Grace")
    assert worker.fetch("/no-such-page").status == 404

seen = []
@pytest.mark.parametrize("number", range(4))
def test_together(worker_session, number):
    seen.append(int(worker_session.get("/counter")))
    assert seen == list(range(1, len(seen) + 1))
"""
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*PYTEST, "-n", "2"], id="two processes at once"),
        pytest.param([PROGRAM, "run", "--", *PYTEST], id="inside a run"),
    ],
)
def test_a_users_tests_get_their_worker(
    machine: Machine, prefetched: Path, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "test_worker.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nworker_project = {prefetched}\n")
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", f"--basetemp={tmp_path / 'base'}", str(tmp_path)],
        cwd=prefetched,
        env={**machine.env, MARK: tmp_path.name, "PYODIDE_OFFLINE_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    # A server of theirs has another mark: what is theirs is found by the state that it keeps.
    assert not marked(tmp_path.name)
    assert not [
        words
        for folder in Path("/proc").glob("[0-9]*")
        if str(tmp_path / "base").encode() in (words := _words(folder))
    ]


def _words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
