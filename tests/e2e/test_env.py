"""`pyodide-offline env`: a shell that has read it starts workers without `run`."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


# pywrangler alone does not pass a SIGTERM on, so it is ended as a terminal ends it.
@pytest.mark.parametrize(
    ("command", "end"),
    [("pywrangler dev", signal.SIGINT), ("npx wrangler dev", signal.SIGTERM)],
)
def test_a_shell_that_has_read_it_starts_a_worker(
    machine: Machine, prefetched: Path, tmp_path: Path, command: str, end: signal.Signals
) -> None:
    script = f'set -eu; told=$("{PROGRAM}" env --offline); eval "$told"; exec {command} "$@"'
    log = tmp_path / "log"
    with started(
        ["sh", "-c", script, "sh"], prefetched, env=machine.env, log=log, timeout=600
    ) as server:
        assert server.get("/version").startswith("3.14.")
        server.stop(end)


def test_fish_starts_a_worker_too(machine: Machine, prefetched: Path, tmp_path: Path) -> None:
    fish = shutil.which("fish")
    assert fish, "scripts/test.py installs it"
    script = f'"{PROGRAM}" env --shell fish | source; exec wrangler dev $argv'
    with started(
        [fish, "--no-config", "-c", script, "--"],
        prefetched,
        env=machine.env,
        log=tmp_path / "log",
        timeout=600,
    ) as server:
        assert server.get("/version").startswith("3.14.")


def test_a_password_of_the_user_is_not_printed(machine: Machine, prefetched: Path) -> None:
    environ = {**machine.env, "HTTPS_PROXY": "http://ada:s3cret@127.0.0.1:9"}
    done = subprocess.run(
        [PROGRAM, "env", "--offline"],
        cwd=prefetched,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "export MINIFLARE_WORKERD_PATH=" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
