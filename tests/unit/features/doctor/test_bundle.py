"""The bundle: asked for, in the store or not, arriving or not."""

from dataclasses import replace
from typing import Any

import pytest

from pyodide_offline import progress
from pyodide_offline.errors import IntegrityError, NetworkError
from pyodide_offline.features.doctor import bundle
from pyodide_offline.features.doctor.finding import State, failed, passed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import fetch
from pyodide_offline.workers.toolchain import chain
from tests.peers import toolroom


def test_the_projects_workerd_is_asked(observed):
    found = bundle.wanted(observed)
    assert str(found.evidence["url"]).endswith(f"pyodide_{toolroom.SETUP.id}.capnp.bin")
    assert found.evidence["digest"] == toolroom.SETUP.digest


def test_where_nobody_needs_a_bundle_nothing_is_asked(session, machine):
    empty = replace(session, project=session.project.parent)
    assert bundle.wanted(Observed(empty)).state is State.SKIP
    assert bundle.ready(Observed(empty)).state is State.SKIP
    config = machine.project / "wrangler.toml"
    config.write_text(toolroom.WORKER.replace("entry.py", "index.js"))
    assert "not Python" in bundle.wanted(Observed(machine)).summary


def test_ready_is_what_starts_without_a_request(machine, bin_dir):
    found = bundle.ready(Observed(machine))
    assert (found.state, found.evidence["missing"]) == (
        State.SKIP,
        ["the bundle", "Node.js or pywrangler"],
    )
    toolroom.programs(bin_dir, "22.12.0")
    toolroom.store_bundle(machine.store)
    assert bundle.ready(Observed(machine)).state is State.PASS


def test_offline_what_is_missing_is_a_fault(machine):
    found = bundle.ready(Observed(replace(machine, offline=True)))
    assert (found.state, found.fix) == (State.FAIL, "pyodide-offline prefetch")


def test_a_damaged_bundle_in_the_store_is_a_fault(machine, bin_dir):
    toolroom.programs(bin_dir, "22.12.0")
    path = toolroom.store_bundle(machine.store)
    path.chmod(0o600)
    path.write_bytes(bytes(path.stat().st_size))
    found = bundle.ready(Observed(machine))
    assert (found.state, found.blame, found.repair) == (State.FAIL, "cache", "store")


def test_packages_that_are_not_synced_are_missing(machine, bin_dir, monkeypatch):
    toolroom.programs(bin_dir, "22.12.0")
    toolroom.store_bundle(machine.store)
    (machine.project / "pyproject.toml").write_text("[project]\n")
    tools = type("T", (), {"pywrangler": type("P", (), {"version": "1.17.9"})()})()
    monkeypatch.setattr(chain, "find", lambda *_, **__: tools)
    found = bundle.ready(Observed(machine))
    assert found.evidence["missing"] == ["the worker's packages"]


@pytest.mark.parametrize(
    ("raised", "word"),
    [
        (NetworkError("Not reached."), "Not reached."),
        (IntegrityError("It is a web page."), "web page"),
        (fetch.HttpStatusError("https://h.test/x", 403, page=True), "answers 403 with a page"),
    ],
)
def test_what_does_not_arrive_is_a_warning_as_npm_has_it_too(observed, monkeypatch, raised, word):
    def download(*_, **__):
        raise raised

    monkeypatch.setattr(fetch, "download", download)
    found = bundle.arriving(observed)
    assert (found.state, found.blame) == (State.WARN, None)
    assert word in found.summary
    assert "--bundle npm" in found.fix


def test_what_arrives_is_checked_and_not_kept(observed, monkeypatch):
    asked: dict[str, Any] = {}

    def download(session, url, target, **named):
        asked.update(named, url=url, target=target)
        target.write_bytes(b"x")
        return named["digest"]

    monkeypatch.setattr(fetch, "download", download)
    assert bundle.arriving(observed).state is State.PASS
    assert asked["digest"].sri == toolroom.SETUP.digest
    assert not asked["target"].parent.exists()


def test_a_slow_line_is_no_fault(observed, monkeypatch):
    def download(session, url, target, *, label, **_):
        with progress.working(session.progress, label, 14_000_000) as advance:
            while True:  # ended by the check, or by nobody
                advance(1000)

    monkeypatch.setattr(fetch, "download", download)
    monkeypatch.setattr(bundle, "_PATIENCE", 0.05)
    found = bundle.arriving(observed)
    assert (found.state, found.evidence["of"]) == (State.PASS, 14_000_000)
    assert "slow line" in found.summary


def test_nobody_is_asked_where_it_is_in_the_store_or_nobody_answers(machine, monkeypatch):
    monkeypatch.setattr(fetch, "download", None)
    there = Observed(machine, {"bundle.ready": passed("Yes.", path="/x")})
    assert bundle.arriving(there).state is State.SKIP
    unreached = Observed(machine, {"route.official": failed("It does not answer.")})
    assert bundle.arriving(unreached).evidence["needs"] == "route.official"
