import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    PyodideOfflineError,
    RegistryError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import platforms, wrangler
from tests.unit.workers.toolchain.conftest import Program

NATIVE = platforms.workerd_package() or "none"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links and sh")


def _package(folder: Path, **manifest: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(manifest))
    return folder


def _hoisted(modules: Path, version: str = "4.1.0") -> None:
    _package(modules / "wrangler", version=version, engines={"node": ">=22.12.0"})
    _package(modules / "miniflare")
    (_package(modules / "workerd") / "workerd.capnp").touch()
    native = _package(modules / NATIVE) / "bin"
    native.mkdir()
    (native / "workerd").touch()


def test_in_the_project(session: Session) -> None:
    modules = session.project / "node_modules"
    _hoisted(modules)
    assert wrangler.find(session) == wrangler.Wrangler(
        package=modules / "wrangler",
        version="4.1.0",
        node_range=">=22.12.0",
        workerd=modules / NATIVE / "bin" / "workerd",
        schema=modules / "workerd" / "workerd.capnp",
        bin_dir=modules / ".bin",
        managed=False,
    )


def test_above_the_project(session: Session) -> None:
    _hoisted(session.project / "node_modules")
    inner = session.project / "packages" / "worker"
    inner.mkdir(parents=True)
    found = wrangler.find(replace(session, project=inner))
    assert found
    assert found.package == session.project / "node_modules" / "wrangler"


def test_nested_ones_win_as_in_node(session: Session) -> None:
    modules = session.project / "node_modules"
    _hoisted(modules)
    nested = modules / "wrangler" / "node_modules" / "miniflare"
    _package(nested)
    (_package(nested / "node_modules" / "workerd") / "workerd.capnp").touch()
    found = wrangler.find(session)
    assert found
    assert found.schema == nested / "node_modules" / "workerd" / "workerd.capnp"
    assert found.workerd == modules / NATIVE / "bin" / "workerd"


def test_links_of_pnpm(session: Session) -> None:
    modules = session.project / "node_modules"
    shop = modules / ".pnpm"
    _package(shop / "wrangler@4" / "node_modules" / "wrangler", version="4.1.0")
    _package(shop / "miniflare@4" / "node_modules" / "miniflare")
    _package(shop / "workerd@1" / "node_modules" / "workerd")
    native = _package(shop / "native@1" / "node_modules" / NATIVE) / "bin"
    native.mkdir()
    (native / "workerd").touch()
    for inside, name, target in [
        (modules, "wrangler", "wrangler@4"),
        (shop / "wrangler@4" / "node_modules", "miniflare", "miniflare@4"),
        (shop / "miniflare@4" / "node_modules", "workerd", "workerd@1"),
        (shop / "workerd@1" / "node_modules", NATIVE, "native@1"),
    ]:
        (inside / name).parent.mkdir(exist_ok=True)
        (inside / name).symlink_to(shop / target / "node_modules" / name)
    found = wrangler.find(session)
    assert found
    assert found.workerd == native / "workerd"
    assert found.node_range == "*"


def test_incomplete(session: Session) -> None:
    modules = session.project / "node_modules"
    _package(modules / "wrangler", version="4.1.0")
    with pytest.raises(ToolchainError, match="workerd is missing"):
        wrangler.find(session)
    _package(modules / "workerd")
    with pytest.raises(ToolchainError, match=f"{NATIVE} is missing"):
        wrangler.find(session)
    (modules / "wrangler" / "package.json").write_text("{")
    with pytest.raises(ToolchainError, match="Cannot read"):
        wrangler.find(session)


def test_plug_and_play_only_where_it_is_evident(session: Session) -> None:
    (session.project / ".pnp.cjs").touch()
    assert wrangler.find(session) is None
    _package(session.project, devDependencies={"wrangler": "^4"})
    with pytest.raises(UnsupportedError, match="Plug'n'Play"):
        wrangler.find(session)


def test_machines_without_workerd(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "workerd_package", lambda: None)
    with pytest.raises(UnsupportedError):
        wrangler.provide(session, ("npm",))


def _npm(program: Program) -> Path:
    """An npm that installs a wrangler and keeps the .npmrc that it saw."""
    return program(
        "npm",
        f"""
        for one; do last=$one; done
        cd node_modules 2>/dev/null || {{ mkdir node_modules; cd node_modules; }}
        mkdir -p wrangler/bin miniflare workerd {NATIVE}/bin
        version=${{last#wrangler@}}
        echo '{{"version": "'$version'", "engines": {{"node": ">=22"}}}}' >wrangler/package.json
        echo '{{}}' >miniflare/package.json
        echo '{{}}' >workerd/package.json
        echo '{{}}' >{NATIVE}/package.json
        touch {NATIVE}/bin/workerd wrangler/bin/wrangler.js
        [ ! -f ../.npmrc ] || cat ../.npmrc >seen
        """,
    )


def test_provided_once_and_laid_out_as_a_global_one(session: Session, program: Program) -> None:
    npm = _npm(program)
    (session.project / ".npmrc").write_text("registry=https://registry.test/\n")
    made = wrangler.provide(session, (str(npm),))
    assert made.managed
    assert made.version == wrangler.DEFAULT_VERSION
    assert made.prefix
    assert (made.prefix / "bin" / "wrangler").resolve() == made.package / "bin" / "wrangler.js"
    assert made.package == made.prefix / "lib" / "node_modules" / "wrangler"
    assert (made.prefix / "lib" / "node_modules" / "seen").read_text().startswith("registry=")
    assert not (made.prefix / "lib" / ".npmrc").exists()
    npm.unlink()
    assert wrangler.provide(session, (str(npm),)) == made
    assert wrangler.find(replace(session, offline=True)) == made


def test_the_projects_own_comes_first(session: Session, program: Program) -> None:
    npm = _npm(program)
    wrangler.provide(session, (str(npm),))
    _hoisted(session.project / "node_modules")
    found = wrangler.find(session)
    assert found
    assert not found.managed


def test_npm_fails(session: Session, program: Program) -> None:
    npm = program(
        "npm",
        'echo "npm error code E401" >&2\n'
        'echo "npm error Incorrect //r.test/:_authToken=hidden" >&2\n'
        'echo "npm error A complete log of this run can be found in: /x" >&2; exit 1',
    )
    with pytest.raises(RegistryError) as raised:
        wrangler.provide(session, (str(npm),))
    assert raised.value.why == "code E401 Incorrect //r.test/:_authToken=***"
    assert session.store.entries() == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ECONNREFUSED", NetworkError),
        ("ENOTFOUND", NetworkError),
        ("ETIMEDOUT", NetworkError),
        ("E404", RegistryError),
        ("ETARGET", RegistryError),
        ("EINTEGRITY", IntegrityError),
        ("EACCES", ToolchainError),
    ],
)
def test_npms_code_decides_the_kind_of_error(
    session: Session, program: Program, code: str, kind: type[PyodideOfflineError]
) -> None:
    npm = program("npm", f'echo "npm error code {code}" >&2; exit 1')
    with pytest.raises(kind):
        wrangler.provide(session, (str(npm),))


def test_a_version_that_is_none_is_told_with_where_to_see_them(
    session: Session, program: Program
) -> None:
    npm = program("npm", 'echo "npm error code ETARGET" >&2; exit 1')
    with pytest.raises(RegistryError) as caught:
        wrangler.provide(session, (str(npm),), version="999.0.0")
    assert caught.value.next_step.endswith("npm view wrangler versions")


def test_offline(session: Session) -> None:
    with pytest.raises(OfflineError):
        wrangler.provide(replace(session, offline=True), ("npm",))
