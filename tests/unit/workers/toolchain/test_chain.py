import sys
from pathlib import Path

import pytest

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import chain
from pyodide_offline.workers.toolchain import node as nodes
from pyodide_offline.workers.toolchain import pywrangler as pywranglers
from pyodide_offline.workers.toolchain import wrangler as wranglers
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.pywrangler import Pywrangler
from pyodide_offline.workers.toolchain.wrangler import Wrangler
from tests.unit.workers.toolchain.conftest import Program


def _wrangler(bin_dir: Path, prefix: Path | None = None) -> Wrangler:
    return Wrangler(
        package=bin_dir,
        version="4.1.0",
        node_range=">=22",
        workerd=bin_dir,
        schema=bin_dir,
        bin_dir=bin_dir,
        managed=prefix is not None,
        prefix=prefix,
    )


def _node(bin_dir: Path, *, managed: bool) -> Node:
    return Node(bin_dir / "node", "24.0.0", ("npm",), bin_dir, managed=managed)


def test_nothing_changes_where_all_is_fit(
    session: Session, program: Program, tmp_path: Path
) -> None:
    tools = chain.Toolchain(
        _node(tmp_path, managed=False),
        _wrangler(tmp_path / "absent"),
        Pywrangler(program("pywrangler", ""), "1.17.9", program("uv", ""), managed=False),
    )
    assert tools.environment(session.environ) == dict(session.environ)


@pytest.mark.usefixtures("bin_dir")
def test_managed_tools_come_first(session: Session, tmp_path: Path) -> None:
    tools = chain.Toolchain(
        _node(tmp_path / "n", managed=True),
        _wrangler(tmp_path / "w", tmp_path / "prefix"),
        Pywrangler(tmp_path / "p" / "pywrangler", "1.17.9", tmp_path / "u" / "uv", managed=True),
    )
    made = tools.environment(session.environ, {"UV_OFFLINE": "1"})
    path = made["PATH"].split(":")
    assert path[:4] == [str(tmp_path / name) for name in ("p", "u", "w", "n")]
    assert ":".join(path[4:]) == session.environ["PATH"]
    assert made["npm_config_prefix"] == str(tmp_path / "prefix")
    assert made["PYODIDE_OFFLINE_PYTHON"] == sys.executable
    assert made["UV_OFFLINE"] == "1"


@pytest.mark.usefixtures("bin_dir")
def test_the_projects_commands_come_last(session: Session, tmp_path: Path) -> None:
    commands = tmp_path / "node_modules" / ".bin"
    commands.mkdir(parents=True)
    tools = chain.Toolchain(_node(tmp_path, managed=False), _wrangler(commands), None)
    made = tools.environment(session.environ)
    assert made["PATH"] == f"{session.environ['PATH']}:{commands}"
    assert "npm_config_prefix" not in made


def test_found_only_if_all_are_there(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrangler, node = _wrangler(tmp_path), _node(tmp_path, managed=False)
    monkeypatch.setattr(wranglers, "find", lambda _: None)
    assert chain.find(session, pywrangler=False) is None
    monkeypatch.setattr(wranglers, "find", lambda _: wrangler)
    monkeypatch.setattr(nodes, "find", lambda _, wanted: node if wanted == ">=22" else None)
    assert chain.find(session, pywrangler=False) == chain.Toolchain(node, wrangler, None)
    monkeypatch.setattr(pywranglers, "find", lambda _: None)
    assert chain.find(session, pywrangler=True) is None


def test_wrangler_says_which_node(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def node(_: Session, wanted: str) -> Node:
        asked.append(wanted)
        return _node(tmp_path, managed=True)

    monkeypatch.setattr(wranglers, "find", lambda _: None)
    monkeypatch.setattr(wranglers, "provide", lambda _, npm: _wrangler(tmp_path / npm[0]))
    monkeypatch.setattr(nodes, "provide", node)
    made = chain.provide(session, pywrangler=False)
    assert asked == ["*", ">=22"]
    assert made.wrangler.package == tmp_path / "npm"
