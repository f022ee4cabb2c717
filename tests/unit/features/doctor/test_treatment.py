"""Repairs shown, agreed to, written down, taken back."""

import pytest

from pyodide_offline import disk
from pyodide_offline.errors import StorageError
from pyodide_offline.features.doctor import folders, treatment
from pyodide_offline.features.doctor.finding import failed, passed
from pyodide_offline.features.doctor.observed import Observed


@pytest.fixture
def findings(machine):
    """An open folder and a bad file in it; something that no repair is for."""
    machine.cache_dir.mkdir()
    machine.cache_dir.chmod(0o777)
    (machine.cache_dir / "pyodide_a.capnp.bin").write_text("bad")
    observed = Observed(machine)
    return [
        folders.cache(observed),
        folders.content(observed),
        failed("Nothing to do.", repair="unheard-of"),
        passed("Fine."),
    ]


def test_only_what_is_allowed_is_planned_and_nothing_done(machine, findings):
    steps = treatment.plan(machine, findings * 2)
    assert [one.repair for one in steps] == ["cache-mode", "quarantine"]
    assert (machine.cache_dir / "pyodide_a.capnp.bin").exists()


def test_what_is_not_agreed_to_is_not_done(machine, findings):
    steps = treatment.plan(machine, findings)
    done = treatment.treat(machine, steps, lambda step: step.repair == "cache-mode")
    assert [(one.step.repair, one.error) for one in done] == [("cache-mode", None)]
    assert (machine.cache_dir / "pyodide_a.capnp.bin").exists()


def test_all_is_taken_back_once_the_latest_first(machine, findings):
    treatment.treat(machine, treatment.plan(machine, findings), lambda _: True)
    assert folders.cache(Observed(machine)).state == "pass"
    told = treatment.undo(machine)
    assert [line.split()[0] for line in told] == ["moved", "chmod"]
    assert (machine.cache_dir / "pyodide_a.capnp.bin").read_text() == "bad"
    assert machine.cache_dir.stat().st_mode & 0o777 == 0o777
    assert treatment.undo(machine) == []


def test_one_failure_spares_the_rest(machine, findings):
    bad = machine.cache_dir / "pyodide_a.capnp.bin"
    steps = treatment.plan(machine, [findings[1], findings[0]])
    bad.unlink()
    first, second = treatment.treat(machine, steps, lambda _: True)
    assert isinstance(first.error, StorageError)
    assert second.error is None


def test_what_cannot_be_written_down_is_not_left_done(machine, findings, monkeypatch):
    def full(*_, **__):
        raise StorageError("The disk is full.")

    steps = treatment.plan(machine, findings)
    monkeypatch.setattr(disk, "write_whole", full)
    done = treatment.treat(machine, steps, lambda _: True)
    assert all(one.error for one in done)
    assert (machine.cache_dir / "pyodide_a.capnp.bin").exists()
    assert machine.cache_dir.stat().st_mode & 0o777 == 0o777


def test_a_record_that_nobody_understands_is_left(machine):
    folder = treatment._folder(machine)
    folder.mkdir(parents=True)
    (folder / "1.json").write_text("{")
    (folder / "2.json").write_text('{"repair": "of another release", "record": {}}')
    assert treatment.undo(machine) == []
    assert len(list(folder.iterdir())) == 2
