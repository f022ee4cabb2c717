"""Several at once, one killed, a full disk: what is in the store is whole or not there."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from pyodide_offline.pytest_plugin.server import MARK, marked
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.netns import unshare

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# A line that tells of finished work with a size: "pyodide-offline: what, 1.2 MB, 0.3 s".
DOWNLOADED = re.compile(r"^pyodide-offline: (.+), [\d.]+ [kM]B, [\d.]+ s$", re.MULTILINE)


def start(
    command: list[str], project: Path, env: dict[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=project,
            env={**env, "CI": "true"},  # plain lines in place of bars
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def test_one_killed_then_six_at_once_on_an_empty_store(
    machine: Machine, project: Path, tmp_path: Path
) -> None:
    env = {
        **machine.env,
        "PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / "store"),
        "PYODIDE_OFFLINE_CACHE_DIR": str(tmp_path / "cache"),
        MARK: tmp_path.name,
    }
    prefetch = [PROGRAM, "prefetch"]
    killed = start(prefetch, project, env, tmp_path / "killed.log")
    deadline = time.monotonic() + 120
    while not any((tmp_path / "store").rglob("*")) and time.monotonic() < deadline:
        assert killed.poll() is None, (tmp_path / "killed.log").read_text()
        time.sleep(0.01)
    time.sleep(0.5)  # somewhere in the middle of it; nothing below depends on where
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not marked(tmp_path.name)

    commands = [prefetch] * 4 + [[PROGRAM, "run", "--", "true"]] * 2
    logs = [tmp_path / f"{number}.log" for number in range(len(commands))]
    running = [
        start(command, project, env, log) for command, log in zip(commands, logs, strict=True)
    ]
    statuses = [process.wait(600) for process in running]
    texts = [log.read_text(encoding="utf-8") for log in logs]
    assert statuses == [0] * 6, "\n".join(texts)
    downloads = Counter(label for text in texts for label in DOWNLOADED.findall(text))
    assert downloads, "\n".join(texts)
    assert set(downloads.values()) == {1}, downloads

    again = subprocess.run(
        [PROGRAM, "prefetch", "--offline"],
        cwd=project,
        env=env,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert again.returncode == 0, again.stderr.decode()
    verified = subprocess.run(
        [PROGRAM, "cache", "verify"], env=env, capture_output=True, check=False, timeout=60
    )
    assert verified.returncode == 0, verified.stdout.decode() + verified.stderr.decode()


def registry(project: Path, env: dict[str, str]) -> str:
    """Return the registry that npm uses; a bare binary has no npm beside it to be asked."""
    return subprocess.run(
        [PROGRAM, "run", "-q", "--", "npm", "config", "get", "registry"],
        cwd=project,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    ).stdout.strip()


@pytest.mark.usefixtures("counting_network")
@pytest.mark.parametrize("what", ["a bundle", "the toolchain"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    machine: Machine, prefetched: Path, tmp_path: Path, what: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # A disk of 4 MB; npm's pyodide has more. Then: what is on it after the failure.
    script = (
        'mount -t tmpfs -o size=4m tmpfs "$1" && shift && "$@"; status=$?;'
        f' find {str(disk)!r} -type f -size +0 -printf "left %s %p\\n"; exit $status'
    )
    command = [PROGRAM, "prefetch", "-q", "--store-dir", str(disk / "store")]
    env = machine.env
    if what == "a bundle":
        command += ["--workerd", str(machine.workerd)]
        env["npm_config_registry"] = registry(prefetched, env)
    done = subprocess.run(
        [*unshare(), "--mount", "sh", "-c", script, "sh", str(disk), *command],
        cwd=prefetched,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if not line.startswith("left ")]
    assert done.returncode == 9, done.stdout
    assert 1 <= len(said) <= 3, done.stdout
    assert re.search(r"disk .*is full|no space left", done.stdout), done.stdout
    sizes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("left ")]
    assert sum(sizes) < 1_000_000, done.stdout
