"""Asking a workerd binary, and remembering what it said."""

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import WorkerdError
from pyodide_offline.workers import probe
from tests.peers import workerd
from tests.peers.workerd import Setup

NEW, OLD = "2026-11-17", "2025-11-02"
FLAGS = ["python_workers"]


def test_the_binary_names_bundle_url_and_digest(tmp_path, store):
    fake = workerd.make(tmp_path)
    want = probe.want(store, fake.path, NEW, FLAGS)
    assert want.bundle_id == "314.0.6_2026-08-17_11"
    assert want.url == workerd.URL.format(want.bundle_id)
    assert want.digest == digests.parse(str(Setup().digest))
    assert want.file_name == "pyodide_314.0.6_2026-08-17_11.capnp.bin"
    assert want.pyodide == "314.0.6"


def test_the_date_decides(tmp_path, store):
    fake = workerd.make(tmp_path)
    assert probe.want(store, fake.path, OLD, FLAGS).pyodide == "0.28.2"


def test_a_second_question_starts_nothing(tmp_path, store):
    fake = workerd.make(tmp_path)
    first = probe.want(store, fake.path, NEW, FLAGS)
    calls = len(fake.calls())
    assert probe.want(store, fake.path, NEW, FLAGS) == first
    assert len(fake.calls()) == calls == 2


def test_another_binary_at_the_same_path_is_asked_again(tmp_path, store):
    fake = workerd.make(tmp_path)
    probe.want(store, fake.path, NEW, FLAGS)
    workerd.make(tmp_path, Setup(id="315.0.0_2027-01-01_1"))
    assert probe.want(store, fake.path, NEW, FLAGS).pyodide == "315.0.0"


def test_a_release_without_digests_gives_none(tmp_path, store):
    fake = workerd.make(tmp_path, Setup(digest=None))
    assert probe.want(store, fake.path, NEW, FLAGS).digest is None


def test_a_silent_binary_is_an_error(tmp_path, store):
    fake = workerd.make(tmp_path, Setup(silent=True))
    with pytest.raises(WorkerdError, match="did not say which Pyodide bundle"):
        probe.want(store, fake.path, NEW, FLAGS)


def test_no_binary_is_an_error_that_says_where(tmp_path, store):
    with pytest.raises(WorkerdError, match=r"There is no workerd at .*nothing"):
        probe.want(store, tmp_path / "nothing", NEW, FLAGS)


def test_a_file_that_cannot_be_executed_is_an_error(tmp_path, store):
    (tmp_path / "workerd").write_text("no program")
    with pytest.raises(WorkerdError, match="cannot be started"):
        probe.want(store, tmp_path / "workerd", NEW, FLAGS)


def test_flags_with_quotes_stay_flags(tmp_path, store):
    fake = workerd.make(tmp_path)
    assert probe.want(store, fake.path, NEW, ['a"b', "c\\d", "python_workers"]).digest


@pytest.mark.parametrize(
    ("flags", "added", "together"),
    [
        (["a"], ["b"], ("a", "b")),
        (["a", "b"], ["b"], ("a", "b")),
        (["a", "python_workers_314"], ["no_python_workers_314"], ("a", "no_python_workers_314")),
        (["no_a"], ["b"], ("no_a", "b")),
    ],
)
def test_a_flag_that_is_turned_off_is_left_out(flags, added, together):
    assert probe.merged(flags, added) == together


def test_addresses_in_the_binary_are_not_told(tmp_path, store):
    fake = workerd.make(tmp_path, Setup(form="setup", archives=("a.tar.gz",)))
    flags = [*FLAGS, probe.DEVELOPMENT_FLAG]
    with probe.folder("pass", NEW, flags) as folder:
        place = folder / "cache" / "pyodide_dev.capnp.bin"
        place.write_bytes(b"pyodideRuntime-internal:emscriptenSetup\0")
        said = list(probe.lines(fake.path, folder, seconds=10))
    assert any("Failed to download" in line for line in said)
    assert not any("stack:" in line for line in said)
