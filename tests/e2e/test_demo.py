"""README's first command, on a machine with Python and nothing else prepared.

The tests are in the order of a first day: a fresh clone and an empty HOME, then the
network cut, then other dates and languages. Each builds on what the earlier ones
downloaded, and each prepares what it misses when it is run alone.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Machine
from tests.peers.netns import Counted, run_counted
from tests.peers.wrangler import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

NOT_IN_A_CLONE = (
    ".git",
    ".venv*",
    ".*_cache",
    "__pycache__",
    "dist",
    "build",
    "python_modules",
    "node_modules",
    ".wrangler",
    "pylock.toml",
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, in a folder with a space in its name."""
    clone = tmp_path_factory.mktemp("demo") / "a fresh clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))
    return clone


def demo(clone: Path, machine: Machine, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "scripts/demo.py", "--check", *options],
        cwd=clone,
        env=machine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def demo_cut(clone: Path, machine: Machine, *options: str) -> Counted:
    command = [sys.executable, "scripts/demo.py", "--check", *options]
    return run_counted(command, env=machine.env, cwd=clone, timeout=300)


def answers(output: str) -> list[list[str]]:
    """Return the demo's own lines about pages: page and answer."""
    return [line.split(maxsplit=1) for line in output.splitlines() if line.startswith("/")]


@pytest.fixture(scope="module")
def first_day(clone: Path, machine: Machine) -> str:
    """The output of the first run; the network is there."""
    return demo(clone, machine)


def test_a_fresh_clone_answers(first_day: str) -> None:
    home, form, first, second, version = answers(first_day)
    assert home == ["/", "Hello from Starlette"]
    assert form == ["/form", "Hello, Ada Lovelace!"]
    assert (first, second) == (["/counter", "1"], ["/counter", "2"])
    assert version[1].startswith("3.14.")


@pytest.mark.usefixtures("first_day", "counting_network")
@pytest.mark.parametrize("options", [[], ["--offline"]], ids=["as before", "--offline"])
def test_without_network_it_answers_and_sends_nothing(
    clone: Path, machine: Machine, options: list[str]
) -> None:
    cut = demo_cut(clone, machine, *options)
    assert cut.status == 0, cut.output
    assert len(answers(cut.output)) == 5
    assert cut.packets == 0, cut.output


def test_an_older_date_runs_on_its_own_python(clone: Path, machine: Machine) -> None:
    pages = answers(demo(clone, machine, "--date", "2025-11-02"))
    assert pages[0] == ["/", "Hello from Starlette"]
    assert pages[-1][1].startswith("3.13.")


@pytest.mark.usefixtures("first_day", "counting_network")
def test_javascript_answers_without_network_too(clone: Path, machine: Machine) -> None:
    cut = demo_cut(clone, machine, "--example", "javascript")
    assert cut.status == 0, cut.output
    assert answers(cut.output)[0] == ["/", "Hello from JavaScript"]
    assert cut.packets == 0, cut.output


@pytest.mark.usefixtures("first_day", "counting_network")
def test_what_was_never_prepared_fails_soon_and_clearly(clone: Path, machine: Machine) -> None:
    elsewhere = Machine(machine.home, machine.cache_dir.with_name("other cache"))
    env = {**elsewhere.env, "PYODIDE_OFFLINE_STORE_DIR": str(machine.home / "empty store")}
    command = [sys.executable, "scripts/demo.py", "--check", "--offline"]
    cut = run_counted(command, env=env, cwd=clone, timeout=60)
    assert cut.status == 1, cut.output
    assert "pyodide-offline prefetch" in cut.output
    assert "Traceback" not in cut.output
    assert cut.packets == 0
