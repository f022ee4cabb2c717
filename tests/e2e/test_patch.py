"""`pyodide-offline patch` on a real miniflare: workerd is given the flags, and all comes back."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import Server, copy_example, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def flags(server: Server) -> list[set[str]]:
    """Return the Pyodide flags of each workerd that a server started."""
    commands = [
        Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
        for pid in server.processes()
    ]
    return [
        {word for word in words if word.startswith("--pyodide-")}
        for words in commands
        if Path(words[0]).name == "workerd"
    ]


@pytest.fixture
def managed(machine: Machine, prefetched: Path) -> dict[str, Path]:
    """The paths of the managed programs by their names."""
    listed = json.loads(machine.call(prefetched, "toolchain", "list", "--json").stdout)
    return {one["what"]: Path(one["path"]) for one in listed}


@pytest.fixture
def project(managed: dict[str, Path], tmp_path: Path) -> Path:
    """A project whose modules are hard links into the store, as pnpm installs them."""
    project = copy_example("javascript", tmp_path / "a project")
    modules = managed["wrangler"].parent
    shutil.copytree(modules, project / "node_modules", symlinks=True, copy_function=os.link)
    return project


def test_a_patched_wrangler_gives_workerd_the_flags_and_comes_back_byte_for_byte(
    machine: Machine, managed: dict[str, Path], project: Path, tmp_path: Path
) -> None:
    file = project / "node_modules" / "miniflare" / "dist" / "src" / "index.js"
    shared = managed["wrangler"].parent / file.relative_to(project / "node_modules")
    original = shared.read_bytes()
    assert file.samefile(shared)
    folder = tmp_path / "a cache"
    # --no-check is not given: Node parses the new text.
    done = machine.call(project, "patch", "apply", "--cache-dir", str(folder), ".")
    assert done.returncode == 0, done.stderr
    assert shared.read_bytes() == original, "another project's file was written into"
    folder.rmdir()  # as after a restart of the machine

    wrangler = [str(managed["Node"]), "node_modules/wrangler/bin/wrangler.js", "dev"]
    wanted = {f"--pyodide-{kind}-disk-cache-dir={folder}" for kind in ("bundle", "package")}
    with started(wrangler, project, env=machine.env, log=tmp_path / "1.log") as server:
        assert server.get("/counter") == "1\n"
        assert flags(server)
        assert all(found == wanted for found in flags(server))
    # Under `run` the flags are the shim's: each given twice would be refused.
    command = [PROGRAM, "run", "--", "npx", "wrangler", "dev"]
    with started(command, project, env=machine.env, log=tmp_path / "2.log") as server:
        assert server.get("/counter") == "2\n"
        assert all(str(folder) not in str(found) for found in flags(server))
    # What others can write is not read.
    folder.chmod(0o777)
    with started(wrangler, project, env=machine.env, log=tmp_path / "3.log") as server:
        assert server.get("/counter") == "3\n"
        assert all(not found for found in flags(server))

    done = machine.call(project, "patch", "revert", ".")
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == original
    assert machine.call(project, "cache", "verify").returncode == 0
