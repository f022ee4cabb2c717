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


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle"
    path.write_text('var pub="0.28.2";')
    return path


def test_the_version_for_development_is_in_the_error(tmp_path, store, bundle):
    fake = workerd.make(tmp_path, Setup(dev_version="314.0.6"))
    said = probe.development_version(store, fake.path, bundle, "0.28.2", OLD, FLAGS)
    assert said == "314.0.6"
    probe.development_version(store, fake.path, bundle, "0.28.2", OLD, FLAGS)
    assert len(fake.calls()) == 1


def test_a_bundle_that_runs_has_the_right_version(tmp_path, store, bundle):
    fake = workerd.make(tmp_path, Setup(dev_version="0.28.2"))
    assert probe.development_version(store, fake.path, bundle, "0.28.2", OLD, FLAGS) == "0.28.2"


def test_a_start_that_fails_otherwise_tells_what_workerd_said(tmp_path, bundle):
    fake = workerd.make(tmp_path, Setup(broken_start="expected emsciptenSetupJsReader"))
    with pytest.raises(WorkerdError) as caught:
        probe.start(fake.path, bundle, NEW, FLAGS)
    assert "emsciptenSetupJsReader" in caught.value.why
