"""Clients of a mirror that reach nothing else: npm, pip, uv, wrangler, and workerd itself."""

import json
import re
import shlex
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.cli import options
from pyodide_offline.features.mirror import origins
from pyodide_offline.network import fetch
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import island
from tests.peers.mirrors import Front, front
from tests.peers.netns import Counted
from tests.peers.wrangler import copy_example

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("counting_network"),
]

# What a system without developers' tools has; no npm, node, uv, pip or git.
TOOLS = ("sh", "env", "cat", "rm", "mkdir", "ls", "uname", "dirname", "readlink", "sed", "id")
PYTHON = sys._base_executable  # type: ignore[attr-defined]
ORIGIN = "pyodide-capnp-bin.edgeworker.net"
PORT = 8788


@pytest.fixture(scope="module")
def mirror(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A mirror of the registries that this machine's settings name."""
    with front(tmp_path_factory.mktemp("a mirror"), machine.env, *file_hosts()) as started:
        yield started


def file_hosts() -> list[str]:
    """Allow the host of the index's files, which is a private address on some machines."""
    session = options.session(cache_dir=Path("c"), store_dir=Path("s"))
    index = origins.read(session, {}).of(origins.PYPI)
    page = fetch.read(session, f"{index.url}idna/", max_bytes=1 << 24).decode()
    host = re.search(r"https://([^/\"'#]+)/[^\"'#]*idna-3", page)
    return ["--allow-host", host[1]] if host else []


@pytest.fixture(scope="module")
def locked(mirror: Front, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lock of npm, one of uv, and requirements with hashes."""
    folder = tmp_path_factory.mktemp("locks") / "a project"
    folder.mkdir()
    packages = {
        f"node_modules/{name}": npm_entry(mirror.url, name, version)
        for name, version in (("is-odd", "3.0.1"), ("is-number", "6.0.0"))
    }
    root = {"name": "a", "version": "1.0.0", "dependencies": {"is-odd": "3.0.1"}}
    lock = {"name": "a", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
            "packages": {"": root, **packages}}  # fmt: skip
    (folder / "package.json").write_text(json.dumps(root))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "requirements.txt").write_text(f"idna==3.10 --hash=sha256:{wheel(mirror.url)[0]}\n")
    sha256, size = wheel(mirror.url)
    address = f"{mirror.url}/files/{sha256}/{WHEEL}"
    index = f'{{ registry = "{mirror.url}/simple/" }}'
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["idna==3.10"]\n'
    )
    (folder / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
        f'[[package]]\nname = "a"\nversion = "1"\nsource = {{ virtual = "." }}\n'
        'dependencies = [{ name = "idna" }]\n\n[package.metadata]\n'
        'requires-dist = [{ name = "idna", specifier = "==3.10" }]\n\n'
        f'[[package]]\nname = "idna"\nversion = "3.10"\nsource = {index}\n'
        f'wheels = [{{ url = "{address}", hash = "sha256:{sha256}", size = {size} }}]\n'
    )
    return folder


WHEEL = "idna-3.10-py3-none-any.whl"


def asked(url: str, accept: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def npm_entry(url: str, name: str, version: str) -> dict[str, Any]:
    """Return a lock's entry, as npm writes it where a registry's address is left out."""
    found = asked(f"{url}/npm/{name}/{version}", "application/json")
    entry: dict[str, Any] = {"version": version, "integrity": found["dist"]["integrity"]}
    more: dict[str, Any] = {key: found[key] for key in ("dependencies", "engines") if key in found}
    entry.update(more)
    return entry


def wheel(url: str) -> tuple[str, int]:
    page = asked(f"{url}/simple/idna/", "application/vnd.pypi.simple.v1+json")
    files: list[dict[str, Any]] = page["files"]
    found = next(one for one in files if one["filename"] == WHEEL)
    return str(found["hashes"]["sha256"]), int(str(found["size"]))


def bare(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a user with an empty HOME and no developer's tool."""
    tools = folder / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or name)
    home = folder / "an empty home"
    home.mkdir()
    cache = str(folder / "bundles")
    return {"HOME": str(home), "PATH": str(tools), "PYODIDE_OFFLINE_CACHE_DIR": cache, **more}


@pytest.fixture(scope="module")
def visited(
    mirror: Front, locked: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Counted, Path]:
    """All of it in one visit: what env says, then npm, pip, uv and wrangler by themselves."""
    folder = tmp_path_factory.mktemp("only a mirror")
    project = copy_example("starlette", folder / "a project")
    copy = shutil.copytree(locked, folder / "locks")
    script = f"""
        eval "$({shlex.quote(PROGRAM)} env --mirror {mirror.url})"
        cd {shlex.quote(str(copy))}
        npm ci --no-audit
        node -p '"odd " + require("is-odd")(3)'
        {shlex.quote(PYTHON)} -m pip install -q --require-hashes --target piped -r requirements.txt
        uv sync --locked --python {shlex.quote(PYTHON)}
        .venv/bin/python -c "import idna; print('uv', idna.__version__)"
        cd {shlex.quote(str(project))}
        exec npx wrangler dev --ip 127.0.0.1 --port {PORT}
    """
    seen = island.visit(
        ["sh", "-exc", script],
        bridges={mirror.port: ("127.0.0.1", mirror.port)},
        cwd=project,
        env=bare(folder),
        pages=["/", "/counter"],
        port=PORT,
        timeout=600,
    )
    return seen, copy


def test_npm_pip_and_uv_install_by_their_locks(visited: tuple[Counted, Path]) -> None:
    seen, folder = visited
    assert "odd true" in seen.output, seen.output
    assert (folder / "piped" / "idna" / "core.py").is_file(), seen.output
    assert "uv 3.10" in seen.output, seen.output


def test_npx_wrangler_answers_from_starlette(visited: tuple[Counted, Path]) -> None:
    seen, _ = visited
    assert "Hello from Starlette" in seen.output, seen.output
    assert "PAGE /counter 1" in seen.output, seen.output


def test_nobody_but_the_mirror_was_asked(visited: tuple[Counted, Path]) -> None:
    seen, _ = visited
    assert seen.packets == 0, seen.output
