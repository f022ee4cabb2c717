"""One machine for the whole run: what the first test downloads, the others find."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyodide_offline.workers.toolchain.wrangler import DEFAULT_VERSION
from tests.peers import netns
from tests.peers.wrangler import copy_example

PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")
# What would let a test see this user's own things, or a setting of this product.
_OWN = ("PYODIDE_OFFLINE_", "MINIFLARE_", "WRANGLER_", "CLOUDFLARE_", "UV_", "XDG_")


@dataclass(frozen=True)
class Machine:
    """A user with an empty HOME at first, and a cache folder that no one else uses."""

    home: Path
    cache_dir: Path

    @property
    def env(self) -> dict[str, str]:
        """The user's environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OWN)}
        return {
            **kept,
            "HOME": str(self.home),
            "PYODIDE_OFFLINE_CACHE_DIR": str(self.cache_dir),
            "NO_COLOR": "1",
        }

    def call(
        self, folder: Path, *words: str | Path, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run this product as the user does in a folder, with more variables."""
        return subprocess.run(
            [PROGRAM, *words],
            cwd=folder,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )

    @property
    def node_modules(self) -> Path:
        """Where the managed wrangler is that `run` takes; those of other tests lie beside it."""
        trees = self.home / ".cache" / "pyodide-offline" / "v1" / "trees" / "wrangler"
        return next(trees.glob(f"{DEFAULT_VERSION}-*/lib/node_modules"))

    @property
    def workerd(self) -> Path:
        """The workerd of that wrangler."""
        return next(self.node_modules.glob("@cloudflare/workerd-*/bin/workerd"))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    home = tmp_path_factory.mktemp("a home")
    return Machine(home, home.parent / "pyodide-cache")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the Starlette example, as it is in the repository."""
    return copy_example("starlette", tmp_path / "a project")


@pytest.fixture(scope="session")
def prefetched(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose needs are all in the machine's store, and its packages in place."""
    project = copy_example("starlette", tmp_path_factory.mktemp("prefetched") / "a project")
    done = machine.call(project, "prefetch")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture(scope="session")
def counting_network() -> None:
    """Skip where the network that counts cannot be made; in CI that is a failure."""
    if (reason := netns.why_not()) is not None:
        if os.environ.get("CI"):
            pytest.fail(f"no network namespaces: {reason}")
        pytest.skip(f"no network namespaces: {reason}")
