"""Each program, here or not, fit or not."""

import shutil

import pytest

from pyodide_offline import process
from pyodide_offline.features.doctor import programs
from pyodide_offline.features.doctor.finding import State, failed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.workers.toolchain import node as nodes
from pyodide_offline.workers.toolchain import pywrangler as pywranglers
from tests.peers import toolroom

PYPROJECT = "[project]\nname = 'w'\nversion = '1'\n"


def test_python_has_pip_or_says_how_to_get_it(observed, bin_dir, monkeypatch):
    assert programs.python(observed).state is State.PASS
    monkeypatch.setattr(process, "capture", lambda *_, **__: _Status(1))
    found = programs.python(observed)
    assert (found.state, found.fix[-9:]) == (State.WARN, "ensurepip")
    toolroom.programs(bin_dir, "1.0.0")
    (bin_dir / "node").rename(bin_dir / "uv")
    assert programs.python(observed).state is State.PASS


class _Status:
    def __init__(self, status: int) -> None:
        self.status = status


def test_wrangler_of_the_project_is_named(observed):
    found = programs.broken_wrangler(observed)
    assert (found.state, found.evidence["version"]) == (State.PASS, "4.164.0")


def test_a_wrangler_without_its_workerd_is_broken(observed, session):
    shutil.rmtree(session.project / "node_modules" / "@cloudflare")
    found = programs.broken_wrangler(observed)
    assert (found.state, found.blame, found.fix) == (State.FAIL, "toolchain", "npm install")
    assert "not complete" in found.summary


def test_no_wrangler_is_no_fault(session):
    assert programs.broken_wrangler(Observed(session)).state is State.SKIP


@pytest.mark.parametrize(
    ("version", "state"), [("22.12.0", State.PASS), ("18.1.0", State.WARN), ("odd", State.WARN)]
)
def test_node_is_held_to_what_wrangler_wants(observed, bin_dir, version, state):
    toolroom.programs(bin_dir, version)
    found = programs.node(observed)
    assert found.state is state, found
    assert found.repair == (None if state is State.PASS else "toolchain")


def test_an_old_node_is_no_fault_where_the_store_has_a_fit_one(observed, bin_dir, monkeypatch):
    toolroom.programs(bin_dir, "18.1.0")
    fit = nodes.Node(bin_dir / "other", "24.0.0", ("npm",), bin_dir, managed=True)
    monkeypatch.setattr(nodes, "find", lambda *_: fit)
    found = programs.node(observed)
    assert (found.state, "24.0.0, in the store" in found.summary) == (State.PASS, True)


def test_no_node_is_no_fault(observed):
    assert programs.node(observed).state is State.SKIP
    assert programs.npx(observed).state is State.SKIP
    assert programs.uv(observed).state is State.SKIP


def test_npx_finds_the_projects_wrangler(observed, bin_dir):
    toolroom.programs(bin_dir, "22.12.0")
    assert "own wrangler" in programs.npx(observed).summary


def test_npx_without_wrangler_and_registry_will_wait(machine, bin_dir):
    toolroom.programs(bin_dir, "22.12.0")
    shutil.rmtree(machine.project / "node_modules")
    assert programs.npx(Observed(machine)).state is State.PASS
    dead = Observed(machine, {"registry.npm": failed("It does not answer.")})
    found = programs.npx(dead)
    assert (found.state, "over a minute" in found.summary) == (State.WARN, True)


def test_a_uv_that_does_not_start_is_said(observed, bin_dir):
    toolroom.programs(bin_dir, "0.13.9")
    (bin_dir / "node").rename(bin_dir / "uv")
    assert programs.uv(observed).evidence["version"] == "0.13.9"
    (bin_dir / "uv").write_text("#!/bin/sh\nexit 1\n")
    assert programs.uv(observed).state is State.WARN


def test_pywrangler_is_asked_for_only_with_a_pyproject(observed, machine, monkeypatch):
    assert "no pyproject.toml" in programs.pywrangler(observed).summary
    assert "no pyproject.toml" in programs.pythons(observed).summary
    (machine.project / "pyproject.toml").write_text(PYPROJECT)
    assert programs.pywrangler(observed).state is State.SKIP
    managed = pywranglers.Pywrangler(machine.project, "1.17.9", machine.project, True)
    monkeypatch.setattr(pywranglers, "find", lambda _: managed)
    assert programs.pywrangler(observed).state is State.PASS
    assert programs.pythons(observed).state is State.PASS
    (machine.project / "pyproject.toml").write_text("x = [")
    found = programs.pywrangler(observed)
    assert (found.state, found.blame) == (State.FAIL, "toolchain")
    assert "not valid TOML" in found.summary


def test_a_pywrangler_of_the_user_that_is_not_fit_is_a_warning(
    observed, machine, bin_dir, monkeypatch
):
    (machine.project / "pyproject.toml").write_text(PYPROJECT)
    toolroom.programs(bin_dir, "1.0.0")
    (bin_dir / "npm").rename(bin_dir / "pywrangler")
    managed = pywranglers.Pywrangler(machine.project, "1.17.9", machine.project, True)
    monkeypatch.setattr(pywranglers, "find", lambda _: managed)
    found = programs.pywrangler(observed)
    assert (found.state, "pip install" in found.fix) == (State.WARN, True)


def test_packages_without_the_sdk_are_a_fault(observed, machine):
    assert programs.sdk(observed).state is State.SKIP
    (machine.project / "pyproject.toml").write_text(PYPROJECT)
    assert "not in place yet" in programs.sdk(observed).summary
    modules = machine.project / "python_modules"
    modules.mkdir()
    found = programs.sdk(observed)
    assert (found.state, found.blame) == (State.FAIL, "toolchain")
    (modules / "workers").mkdir()
    assert programs.sdk(observed).state is State.PASS


def test_other_starters_of_workerd_are_named(observed, machine):
    assert programs.callers(observed).state is State.SKIP
    for name in ("vite-plugin", "vitest-pool-workers"):
        folder = machine.project / "node_modules" / "@cloudflare" / name
        folder.mkdir()
        (folder / "package.json").write_text("{}")
    assert programs.callers(observed).summary.startswith("The Vite plugin and the vitest pool")
