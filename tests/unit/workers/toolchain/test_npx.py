"""The npx that comes first: what it starts, and what it leaves to the real one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import npx
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.wrangler import Wrangler
from tests.unit.workers.toolchain.conftest import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the real npx is kept there")


def installed(modules: Path, version: str = "4.1.0") -> Path:
    """A wrangler as npm puts it into node_modules."""
    package = modules / "wrangler"
    (package / "bin").mkdir(parents=True)
    manifest = {"name": "wrangler", "version": version, "bin": {"wrangler": "./bin/w.js"}}
    (package / "package.json").write_text(json.dumps(manifest, indent=2))
    (package / "bin" / "w.js").write_text("")
    (package / "bin" / "w.js").chmod(0o755)
    return package


def command(modules: Path) -> Path:
    (modules / ".bin").mkdir()
    (modules / ".bin" / "wrangler").symlink_to("../wrangler/bin/w.js")
    return modules / ".bin"


@pytest.fixture
def real(program: Program) -> Path:
    return program("npx", 'printf "real"; printf " <%s>" "$@"')


@pytest.fixture
def node(program: Program) -> Node:
    said = program("node", 'printf "node"; printf " <%s>" "$@"; echo " in $PATH" >&2')
    return Node(said, "24.0.0", ("npm",), said.parent, managed=False)


def described(package: Path, bin_dir: Path, prefix: Path | None = None) -> Wrangler:
    managed = prefix is not None
    return Wrangler(package, "4.1.0", "*", package, package, bin_dir, managed, prefix)


@pytest.fixture
def project(session: Session) -> Wrangler:
    """The project's own wrangler."""
    modules = session.project / "node_modules"
    return described(installed(modules), command(modules))


@pytest.fixture
def managed(tmp_path: Path) -> Wrangler:
    prefix = tmp_path / "a tree"
    return described(installed(prefix / "lib" / "node_modules"), prefix / "bin", prefix)


def call(
    session: Session,
    node: Node,
    wrangler: Wrangler,
    *words: str,
    cwd: Path | None = None,
    program: str = "npx",
) -> "subprocess.CompletedProcess[str]":
    environ = npx.first(session, node, wrangler, session.environ)
    return subprocess.run(
        [program, *words],
        cwd=cwd or session.project,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    "words",
    [
        ["wrangler"],
        ["--yes", "wrangler"],
        ["-y", "--silent", "wrangler"],
        ["--no", "--quiet", "wrangler"],
        ["wrangler@4.1.0"],
    ],
)
def test_wrangler_is_started_directly(
    session: Session, node: Node, project: Wrangler, words: list[str]
) -> None:
    done = call(session, node, project, *words, "dev", "--var", "A:b c", "")
    js = project.package / "bin" / "w.js"
    assert done.stdout.startswith("node <--")
    assert done.stdout.endswith(f"> <{js}> <dev> <--var> <A:b c> <>")
    # As the real one does: a build command of the project finds the project's programs.
    assert f" in {project.bin_dir}:" in done.stderr


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    "words",
    [
        ["vite", "dev"],
        ["wrangler@4.0.0", "dev"],
        ["wrangler@latest"],
        ["--package", "x", "wrangler"],
        ["-c", "wrangler dev"],
        ["--yes"],
        ["create-cloudflare", "wrangler", "a b"],
    ],
)
def test_all_else_goes_to_the_real_one_unchanged(
    session: Session, node: Node, project: Wrangler, words: list[str]
) -> None:
    assert call(session, node, project, *words).stdout == "real " + " ".join(
        f"<{word}>" for word in words
    )


@pytest.mark.usefixtures("real")
def test_a_nearer_wrangler_belongs_to_the_real_one(
    session: Session, node: Node, project: Wrangler, managed: Wrangler
) -> None:
    nested = session.project / "apps" / "one"
    (nested / "src").mkdir(parents=True)
    assert call(session, node, project, "wrangler", cwd=nested / "src").stdout.startswith("node")
    installed(nested / "node_modules", "3.0.0")
    command(nested / "node_modules")
    for wrangler in (project, managed):
        answer = call(session, node, wrangler, "-y", "wrangler", "x", cwd=nested / "src").stdout
        assert answer == "real <-y> <wrangler> <x>"


@pytest.mark.usefixtures("real")
def test_the_managed_one_is_for_folders_without_one(
    session: Session, node: Node, managed: Wrangler
) -> None:
    assert call(session, node, managed, "wrangler", "dev").stdout.startswith("node")


@pytest.mark.usefixtures("real", "project")
def test_the_projects_is_not_started_elsewhere(
    session: Session, node: Node, project: Wrangler, tmp_path: Path
) -> None:
    assert call(session, node, project, "wrangler", cwd=tmp_path).stdout == "real <wrangler>"


@pytest.mark.usefixtures("real")
def test_the_version_alone_starts_no_node(
    session: Session, node: Node, project: Wrangler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(session, node, project, "--yes", "wrangler", "--version").stdout == "4.1.0\n"
    assert "node" in call(session, node, project, "wrangler", "--version", "--x").stdout
    monkeypatch.setenv("WRANGLER_LOG", "none")
    assert "node" in call(session, node, project, "wrangler", "--version").stdout


@pytest.mark.usefixtures("real")
def test_a_version_that_has_changed_meanwhile_is_asked(
    session: Session, node: Node, project: Wrangler
) -> None:
    environ = npx.first(session, node, project, session.environ)
    (project.package / "package.json").write_text('{\n  "version": "4.2.0"\n}')
    done = subprocess.run(
        ["npx", "wrangler", "--version"],
        cwd=session.project,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("node")


@pytest.mark.usefixtures("real")
def test_run_in_run_finds_the_real_one(session: Session, node: Node, project: Wrangler) -> None:
    once = npx.first(session, node, project, session.environ)
    twice = npx.first(session, node, project, once)
    assert twice["PATH"].split(os.pathsep)[0] == once["PATH"].split(os.pathsep)[0]


def test_without_a_real_one_nothing_changes(
    session: Session, node: Node, project: Wrangler
) -> None:
    assert npx.first(session, node, project, session.environ) == dict(session.environ)


def test_a_command_that_is_not_this_package_is_left_alone(
    session: Session, node: Node, project: Wrangler, real: Path
) -> None:
    (project.bin_dir / "wrangler").unlink()
    (project.bin_dir / "wrangler").symlink_to(real)
    assert npx.first(session, node, project, session.environ) == dict(session.environ)


def on_path(session: Session, folder: Path) -> Session:
    environ = {**session.environ, "PATH": f"{folder}:{session.environ['PATH']}"}
    return replace(session, environ=environ)


@pytest.mark.usefixtures("real")
def test_a_bare_wrangler_is_started_directly(
    session: Session, node: Node, project: Wrangler
) -> None:
    there = on_path(session, project.bin_dir)
    done = call(there, node, project, "dev", "a b", program="wrangler")
    assert done.stdout.endswith(f"> <{project.package / 'bin' / 'w.js'}> <dev> <a b>")


@pytest.mark.usefixtures("real")
def test_another_wrangler_on_path_stays_the_one_that_is_started(
    session: Session, node: Node, project: Wrangler, program: Program
) -> None:
    program("wrangler", 'printf "another"')
    assert call(session, node, project, "dev", program="wrangler").stdout == "another"


def test_without_any_npx_wrangler_is_still_started_directly(
    session: Session, node: Node, project: Wrangler
) -> None:
    there = on_path(session, project.bin_dir)
    done = call(there, node, project, program="wrangler")
    assert done.stdout.startswith("node <--")
