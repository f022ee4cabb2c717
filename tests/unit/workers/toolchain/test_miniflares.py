"""Which miniflares are found, in each package manager's layout."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import miniflares


def package(folder: Path, name: str = "miniflare", version: str = "5.0.0") -> Path:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))
    return folder


def link(path: Path, to: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def found(session: Session, *named: Path) -> set[Path]:
    packages = [one.package for one in miniflares.find(session, named)]
    assert len(packages) == len(set(packages)), "one is found twice"
    return set(packages)


@pytest.fixture
def modules(session: Session) -> Path:
    return session.project / "node_modules"


def test_nothing_is_there(session: Session) -> None:
    assert found(session) == set()


def test_npm_in_the_project_and_above_it(session: Session, modules: Path) -> None:
    top = package(modules / "miniflare", version="4.2026")
    package(modules / "wrangler", "wrangler")
    nested = package(modules / "wrangler" / "node_modules" / "miniflare")
    scoped = package(modules / "@cloudflare" / "x" / "node_modules" / "miniflare")
    package(modules / "wrangler" / "src" / "miniflare")
    package(modules / "aliased" / "node_modules" / "miniflare", "something-else")
    inside = session.project / "apps" / "one"
    inside.mkdir(parents=True)
    assert found(replace(session, project=inside)) == {top, nested, scoped}
    (one,) = [one for one in miniflares.find(session) if one.package == top]
    assert one.version == "4.2026"


def test_pnpm_links_are_resolved_and_each_is_found_once(session: Session, modules: Path) -> None:
    real = package(modules / ".pnpm" / "miniflare@5" / "node_modules" / "miniflare")
    owner = modules / ".pnpm" / "wrangler@4" / "node_modules"
    package(owner / "wrangler", "wrangler")
    link(owner / "miniflare", real)
    link(modules / "wrangler", owner / "wrangler")
    link(modules / "miniflare", real)
    assert found(session) == {real}


def test_a_linked_wrangler_from_elsewhere_brings_its_own(
    session: Session, modules: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "workspace" / "node_modules"
    real = package(elsewhere / "miniflare")
    package(elsewhere / "wrangler", "wrangler")
    link(modules / "wrangler", elsewhere / "wrangler")
    assert found(session) == {real}


def test_yarns_pnpm_linker_and_bun(session: Session, modules: Path) -> None:
    yarn = package(modules / ".store" / "miniflare-npm-5-abc" / "package")
    package(modules / ".store" / "other-npm-1" / "package", "other")
    bun = package(modules / ".bun" / "miniflare@5" / "node_modules" / "miniflare")
    assert found(session) == {yarn, bun}


def test_global_ones_of_each_manager(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    prefix = tmp_path / "prefix"
    wanted = {
        package(home / ".npm/_npx/0123/node_modules/miniflare"),
        package(home / ".local/share/pnpm/global/5/node_modules/.pnpm/m/node_modules/miniflare"),
        package(home / ".local/share/pnpm/global/v11/0a1b/node_modules/miniflare"),
        package(home / ".config/yarn/global/node_modules/miniflare"),
        package(home / ".bun/install/global/node_modules/miniflare"),
        package(home / ".volta/tools/image/packages/wrangler/lib/node_modules/miniflare"),
        package(prefix / "lib/node_modules/wrangler/node_modules/miniflare"),
    }
    monkeypatch.setenv("npm_config_prefix", str(prefix))
    assert found(session) == wanted


def test_a_wrangler_and_a_node_on_path(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    wrangler = package(one / "deep" / "node_modules" / "wrangler", "wrangler")
    (wrangler / "bin.js").touch()
    link(one / "bin" / "wrangler", wrangler / "bin.js")
    first = package(one / "deep" / "node_modules" / "miniflare")
    second = package(two / "lib" / "node_modules" / "miniflare")
    (two / "bin").mkdir()
    (two / "bin" / "node").touch()
    monkeypatch.setenv("PATH", f"{one / 'bin'}:{two / 'bin'}")
    assert found(session) == {first, second}


def test_ours_only_if_it_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = session.store.root / "v1" / "trees" / "wrangler" / "4"
    ours = package(tree / "lib" / "node_modules" / "miniflare")
    monkeypatch.setenv("npm_config_prefix", str(tree))
    assert found(session) == set()
    assert found(session, tree) == {ours}


def test_what_is_named_is_all_that_is_found(
    session: Session, modules: Path, tmp_path: Path
) -> None:
    package(modules / "miniflare")
    other = tmp_path / "other"
    real = package(other / "node_modules" / "miniflare")
    wrangler = package(other / "node_modules" / "wrangler", "wrangler")
    (real / "dist").mkdir()
    (real / "dist" / "index.js").touch()
    ways = (other, other / "node_modules", wrangler, real, real / "dist" / "index.js", tmp_path)
    for way in ways[:-1]:
        assert found(session, way) == {real}, way
    assert real in found(session, ways[-1])


def test_a_name_without_one_is_an_error(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no miniflare in"):
        miniflares.find(session, [tmp_path / "project"])
