"""Clients of a mirror that reach nothing else: npm, pip, uv, wrangler, and workerd itself."""

import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from pyodide_offline.cli import options
from pyodide_offline.features.mirror import origins, tokens
from pyodide_offline.network import fetch, mirrored
from pyodide_offline.store import Store
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import island
from tests.peers.mirrors import Front, front
from tests.peers.netns import Counted
from tests.peers.registry import Answer, Registry
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
HASHLESS = "4.86.0"
# Parts of the standard library that its workerd fetches with the bundle, one file each.
PARTS = (
    *(f"{name}-1.0.0-cp313-cp313-pyodide_2025_0_wasm32"
      for name in ("hashlib", "lzma", "pydecimal", "pydoc_data", "sqlite3", "ssl")),
    "libopenssl-1.1.1w",
)  # fmt: skip
# wrangler's own calls home have nowhere to go there.
QUIET = {
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_HIDE_BANNER": "true",  # it asks for a newer wrangler
}


@pytest.fixture(scope="module")
def mirror(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A mirror of the registries that this machine's settings name."""
    folder = tmp_path_factory.mktemp("a mirror")
    with front(folder, machine.env, *file_hosts(folder)) as started:
        yield started


def file_hosts(folder: Path) -> list[str]:
    """Allow the host of the index's files, which is a private address on some machines."""
    session = options.session(cache_dir=folder / "c", store_dir=folder / "s")
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
    """Return a lock's entry, made by another registry, which is out of reach."""
    found = asked(f"{url}/npm/{name}/{version}", "application/json")
    elsewhere = f"https://other.test/api/npm/{name}/-/{name}-{version}.tgz"
    integrity = found["dist"]["integrity"]
    entry: dict[str, Any] = {"version": version, "resolved": elsewhere, "integrity": integrity}
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


def official(folder: Path, machine: Machine, project: Path) -> tuple[Path, Path]:
    """Return what stands in for a file of Cloudflare's, and a wrangler whose workerd wants it.

    Cloudflare's own cannot be had here: this is the one made from npm, which a workerd that
    carries no digest takes for it.
    """
    done = subprocess.run(
        [PROGRAM, "prefetch", "--wrangler", HASHLESS, "--bundle", "npm"],
        cwd=project,
        env={**machine.env, "PYODIDE_OFFLINE_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    found = re.search(r"reads its bundle from (.+)", done.stdout)
    assert found, done.stderr
    (bundle,) = Path(found[1]).rglob("pyodide_*.capnp.bin")
    (wrangler,) = machine.home.rglob(f"wrangler/{HASHLESS}-*/bin/wrangler")
    return bundle, wrangler


def test_an_unmodified_workerd_without_digests_takes_its_bundle_under_cloudflares_name(
    machine: Machine, tmp_path: Path
) -> None:
    project = copy_example("starlette", tmp_path / "a project", "2026-04-26")
    bundle, wrangler = official(tmp_path, machine, project)
    empty = gzip.compress(bytes(10240), mtime=0)  # a tar file ends with two empty blocks
    authority = trustme.CA()
    leaf = authority.issue_cert(ORIGIN)
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    for pem in leaf.cert_chain_pems:
        pem.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Registry() as there:
        there.script(f"/{bundle.name}", Answer(200, bundle.read_bytes()))
        for name in PARTS:
            there.script(f"/python-package-bucket/20250808/{name}.tar.gz", Answer(200, empty))
        options = ["--upstream", f"bundles={there.url}", "--name", ORIGIN]
        tls = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
        with front(tmp_path / "a mirror", machine.env, *options, *tls) as mirror:
            seen = island.visit(
                [str(wrangler), "dev", "--ip", "127.0.0.1", "--port", str(PORT)],
                bridges={443: ("127.0.0.1", mirror.port)},
                hosts=[ORIGIN],
                cwd=project,
                env={
                    **machine.env,
                    **QUIET,
                    "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
                    # What wrangler asked on another day, it finds in the machine's own.
                    "TMPDIR": str(tmp_path),
                },
                pages=["/"],
                port=PORT,
            )
    assert "Hello from Starlette" in seen.output, f"{seen.output}\n{''.join(mirror.log)}"
    assert there.paths().count(f"/{bundle.name}") == 1
    assert seen.packets == 0, seen.output


def test_what_locks_name_goes_by_a_kit_to_a_mirror_without_upstreams(
    machine: Machine, mirror: Front, locked: Path, tmp_path: Path
) -> None:
    key, kit = str(tmp_path / "key"), str(tmp_path / "my.kit")
    first, second = tmp_path / "first", tmp_path / "second"
    upstreams = [f"npm={mirror.url}/npm/", f"pypi={mirror.url}/simple/"]
    named = [word for one in upstreams for word in ("--upstream", one)]
    locks = [str(locked / "package-lock.json"), str(locked / "requirements.txt")]
    environ = {**machine.env, "PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    for words in (
        ["kit", "keygen", "--no-passphrase", key],
        ["mirror", "sync", *locks, *named, *places(first)],
        ["mirror", "export", "-o", kit, "--sign", key, *places(first)],
        ["mirror", "import", kit, "--key", f"{key}.pub", *places(second)],
    ):
        done = subprocess.run(
            [PROGRAM, *words], env=environ, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
    copy = shutil.copytree(locked, tmp_path / "locks")
    with front(second, machine.env, "--offline") as alone:
        script = f"""
            {shlex.quote(npm(machine))} ci --no-audit --replace-registry-host=always \\
                --registry http://127.0.0.1:{alone.port}/npm/
            {shlex.quote(PYTHON)} -m pip install -q --require-hashes --target piped \
                --index-url http://127.0.0.1:{alone.port}/simple/ -r requirements.txt
        """
        seen = island.visit(
            ["sh", "-exc", script],
            bridges={alone.port: ("127.0.0.1", alone.port)},
            cwd=copy,
            env={**plain(machine.env), "HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"},
        )
    assert seen.status == 0, f"{seen.output}\n{''.join(alone.log)}"
    assert (copy / "node_modules" / "is-odd" / "package.json").is_file()
    assert (copy / "piped" / "idna" / "core.py").is_file()


def npm(machine: Machine) -> str:
    """Return an npm that starts: the store's, where this machine has no Node of its own."""
    trees = machine.home / ".cache" / "pyodide-offline" / "v1" / "trees" / "node"
    return str(next(trees.glob("*/bin/npm"), None) or shutil.which("npm") or "npm")


def places(folder: Path) -> list[str]:
    return ["--store", str(folder / "depot"), "--cache", str(folder / "cache")]


def plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no variable names an index or a folder of wheels."""
    return {key: one for key, one in environ.items() if not key.startswith(("PIP_", "UV_"))}


def test_a_token_lets_npm_and_pip_in_and_another_one_nobody(
    machine: Machine, mirror: Front, locked: Path, tmp_path: Path
) -> None:
    book = tmp_path / "tokens.json"
    token = tokens.add(book, "ci", tokens.READ)
    upstreams = ["--upstream", f"npm={mirror.url}/npm/", "--upstream", f"pypi={mirror.url}/simple/"]
    project = shutil.copytree(locked, tmp_path / "a project")
    with front(tmp_path / "closed", machine.env, "--tokens", str(book), *upstreams) as closed:
        for one, status in ((token, 0), ("pom_of_somebody_else", 1)):
            doctor = subprocess.run(
                [PROGRAM, "doctor", "--check", "mirror", "--json", "--mirror", closed.url],
                env={**machine.env, "PYODIDE_OFFLINE_MIRROR_TOKEN": one},
                capture_output=True, encoding="utf-8", check=False,
            )  # fmt: skip
            assert doctor.returncode == status, doctor.stdout
            assert one not in doctor.stdout
        environ = mirrored.environment(
            Store(tmp_path / "store"), plain(machine.env), mirrored.parse(closed.url, token)
        )
        for words in (
            [npm(machine), "ci", "--no-audit"],
            [PYTHON, "-m", "pip", "install", "-q", "--target", "piped", "-r", "requirements.txt"],
        ):
            done = subprocess.run(
                words, cwd=project, env={**environ, "HOME": str(tmp_path)}, check=False,
                capture_output=True, encoding="utf-8",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert token not in done.stdout + done.stderr
    assert (project / "node_modules" / "is-odd").is_dir()
    assert token not in "".join(closed.log)
