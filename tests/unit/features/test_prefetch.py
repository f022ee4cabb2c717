"""The store filled with what a worker needs."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import ProjectError, UnsupportedError, WorkerdError
from pyodide_offline.features import prefetch
from pyodide_offline.workers import pythons, supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from tests.peers import workerd


@pytest.fixture
def asked(monkeypatch):
    """The dates and flags that bundles are supplied for."""
    seen = []

    def supplying(session, binary, date, flags, *, policy, npm, renew=False, python=None):
        seen.append((date, tuple(flags), policy, *([python] if python else [])))

        def produce(target):
            target.write_bytes(b"bundle")
            return {"pyodide": "314.0.6", "python": "3.14.2"}

        entry = session.store.fill("bundle", date, produce)
        return Supplied(Want("314.0.6_1", "", None), entry, "dev", ())

    monkeypatch.setattr(supply, "supply", supplying)
    return seen


def test_a_bare_binary_is_asked_for_its_own_date(session, tmp_path, asked):
    fake = workerd.make(tmp_path / "w")
    report = prefetch.for_binary(session, fake.path)
    assert asked == [("2026-11-17", ("python_workers",), "auto")]
    assert report.fetched
    assert report.items[0].version == "314.0.6 (Python 3.14.2)"
    assert (report.folder / "pyodide_dev.capnp.bin").read_bytes() == b"bundle"


def test_date_flags_and_policy_are_passed_on(session, tmp_path, asked):
    fake = workerd.make(tmp_path / "w")
    prefetch.for_binary(session, fake.path, date="2025-11-02", flags=["x"], policy="npm")
    assert asked == [("2025-11-02", ("python_workers", "x"), "npm")]


def test_the_second_time_nothing_is_fetched(session, tmp_path, asked):
    fake = workerd.make(tmp_path / "w")
    prefetch.for_binary(session, fake.path)
    session.store.made.clear()
    assert not prefetch.for_binary(session, fake.path).fetched


def test_a_program_that_is_not_workerd_is_an_error(session, tmp_path):
    with pytest.raises(WorkerdError, match="does not tell its version"):
        pythons.own_date(Path("/bin/true"))


def test_a_binary_that_is_not_there_is_an_error(session, tmp_path):
    with pytest.raises(WorkerdError, match="There is no workerd"):
        prefetch.for_binary(session, tmp_path / "none")


@pytest.mark.parametrize("date", ["banana", "2026-2-3", "2026-02-30"])
def test_a_date_that_is_none_is_an_error(session, tmp_path, date):
    fake = workerd.make(tmp_path / "w")
    with pytest.raises(ProjectError, match="is no date"):
        prefetch.for_binary(session, fake.path, date=date)


def test_a_file_that_cannot_be_started_is_an_error_of_workerd(session, tmp_path):
    (tmp_path / "text").write_text("no program")
    with pytest.raises(WorkerdError, match="Cannot start"):
        prefetch.for_binary(session, tmp_path / "text")


@pytest.mark.parametrize("main", ["src/index.js", "worker.ts"])
def test_a_main_that_is_not_python_is_an_error(session, main):
    text = f'main = "{main}"\ncompatibility_date = "2026-11-17"\n'
    (session.project / "wrangler.toml").write_text(text)
    with pytest.raises(ProjectError, match="not Python"):
        prefetch.for_project(session)


def test_another_python_is_passed_on(session, tmp_path, asked):
    fake = workerd.make(tmp_path / "w")
    prefetch.for_binary(session, fake.path, more=prefetch.More(python="3.13"))
    assert asked == [("2026-11-17", ("python_workers",), "auto", "3.13")]


def test_all_brings_each_bundle_that_the_binary_knows(session, tmp_path, asked):
    fake = workerd.make(tmp_path / "w")
    report = prefetch.for_binary(session, fake.path, more=prefetch.More(everything=True))
    assert {date < "2026-09-08" for date, *_ in asked} == {True, False}
    assert report.missing == ()


def test_what_cannot_be_had_is_told_and_the_rest_is_there(session, tmp_path, asked, monkeypatch):
    given = supply.supply

    def supplying(session, binary, date, flags, **more):
        if date < "2026-09-08":
            raise UnsupportedError("npm has none.")
        return given(session, binary, date, flags, **more)

    monkeypatch.setattr(supply, "supply", supplying)
    fake = workerd.make(tmp_path / "w")
    report = prefetch.for_binary(session, fake.path, more=prefetch.More(everything=True))
    (missing,) = report.missing
    assert missing == "pyodide_0.28.2_2025-01-16_22.capnp.bin: npm has none."
    assert report.items


def test_a_bundle_that_is_brought_is_used(session, tmp_path):
    content = b"the official bundle"
    only = workerd.Setup().id
    setup = workerd.Setup(digest=digests.of_bytes(content).sri, old_id=only)
    fake = workerd.make(tmp_path / "w", setup)
    (tmp_path / "mine").write_bytes(content)
    offline = replace(session, offline=True)
    report = prefetch.for_binary(
        offline, fake.path, more=prefetch.More(source=str(tmp_path / "mine"))
    )
    assert [item.origin for item in report.items] == ["official"]
    assert (session.cache_dir / f"pyodide_{setup.id}.capnp.bin").read_bytes() == content
