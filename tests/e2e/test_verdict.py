"""`pyodide-offline run` whose command fails ends with what the failure means."""

import os
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import Machine
from tests.peers.workerd import URL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# The real one, until it is to start a worker from the folder that `run` has given it.
WRAPPER = """\
#!/bin/sh
case "$*" in
  *pyodide-cache/dev-*" - "*)
    echo "failed: Request for Pyodide bundle failed; url = {url}; no way out" >&2
    exit 1 ;;
esac
exec '{workerd}' "$@"
"""


def run(machine: Machine, project: Path, *words: str, **more: str) -> "tuple[int, str]":
    command = ("run", "--offline", "-q", "--", "wrangler", "dev", *words)
    done = machine.call(project, *command, **more)
    return done.returncode, done.stderr


def test_a_taken_port_names_its_holder(machine: Machine, prefetched: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        status, said = run(machine, prefetched, "--ip", "127.0.0.1", "--port", port)
    assert status == 1
    assert f"Port {port} is taken: " in said.splitlines()[-2]
    assert f"(pid {os.getpid()})" in said.splitlines()[-2]
    assert said.splitlines()[-1].endswith(f"--port {int(port) + 1}")


def test_workerds_own_words_are_explained(
    machine: Machine, prefetched: Path, tmp_path: Path
) -> None:
    wrapper = tmp_path / "workerd"
    wrapper.write_text(WRAPPER.format(url=URL.format("x"), workerd=machine.workerd))
    wrapper.chmod(0o755)
    status, said = run(machine, prefetched, "--port", "0", MINIFLARE_WORKERD_PATH=str(wrapper))
    assert status == 1
    what, why, _ = said.splitlines()[-3:]
    assert what == (
        "pyodide-offline: workerd was to download its bundle and could not: no way out."
    )
    assert URL.format("x") in why
