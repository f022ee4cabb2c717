"""Which form of a bundle a binary takes, and how."""

from dataclasses import replace

import pytest

from pyodide_offline.errors import UnsupportedError
from pyodide_offline.workers import assembly, glue, interface, probe
from pyodide_offline.workers.probe import DEVELOPMENT_FLAG
from tests.peers import pyodide, workerd
from tests.peers.workerd import Setup

NEW, OLD = "2026-11-17", "2025-11-02"
FLAGS = ["python_workers"]
# Each interface of 2026, as far as a bundle can tell them apart.
NEWEST = Setup()
AUTUMN = Setup(form="setup", version_taken="314.0.6")
AUGUST = Setup(form="setup", dated="python_workers_20250116")
JUNE = Setup(form="setup", digest=None, archives=("ssl.tar.gz", "b.tar.gz"), lockfile=True)
JANUARY = replace(JUNE, form="setup-as-data")


def ask(store, fake, date=NEW, flags=FLAGS):
    want = probe.want(store, fake.path, date, flags)
    return interface.ask(store, fake.path, want, date, flags)


@pytest.mark.parametrize(
    ("setup", "form", "bundle_id", "flags"),
    [
        (NEWEST, glue.ASM, "dev", (DEVELOPMENT_FLAG,)),
        (AUTUMN, glue.SETUP, "dev", (DEVELOPMENT_FLAG,)),
        (AUGUST, glue.SETUP, "dev", (DEVELOPMENT_FLAG, "no_python_workers_20250116")),
        (JUNE, glue.SETUP, NEWEST.id, ()),
        (JANUARY, glue.SETUP_AS_DATA, NEWEST.id, ()),
    ],
    ids=["V", "IV", "III", "II", "I"],
)
def test_each_interface_is_found(tmp_path, store, setup, form, bundle_id, flags):
    found = ask(store, workerd.make(tmp_path, setup))
    assert (found.form, found.bundle_id, found.flags) == (form, bundle_id, flags)
    assert sorted(found.archives) == sorted(setup.archives)


def test_the_answer_is_remembered(tmp_path, store):
    fake = workerd.make(tmp_path, AUGUST)
    first = ask(store, fake)
    calls = len(fake.calls())
    assert ask(store, fake) == first
    assert len(fake.calls()) == calls


def test_a_flag_that_the_user_has_set_is_turned_off_too(tmp_path, store):
    fake = workerd.make(tmp_path, AUGUST)
    found = ask(store, fake, flags=[*FLAGS, "python_workers_20250116"])
    assert found.flags == (DEVELOPMENT_FLAG, "no_python_workers_20250116")


def test_archives_that_no_text_names_are_asked_for(tmp_path, store):
    fake = workerd.make(tmp_path, replace(JUNE, lockfile=False))
    assert sorted(ask(store, fake).archives) == sorted(JUNE.archives)


def test_an_unknown_interface_is_an_error_with_what_workerd_said(tmp_path, store, monkeypatch):
    monkeypatch.setattr(interface, "_ASKED", ((glue.SETUP,),))
    fake = workerd.make(tmp_path, NEWEST)
    with pytest.raises(UnsupportedError, match="none of the known ways") as caught:
        ask(store, fake)
    assert "No such module pyodide.asm" in caught.value.why
    assert str(fake.path) in caught.value.what
    assert "pyodide_314.0.6_2026-08-17_11.capnp.bin" in caught.value.next_step


@pytest.fixture
def bundle(tmp_path):
    def make(form, version="314.0.6", public=None):
        tarball = pyodide.tarball(tmp_path / "p.tgz", version, module=version > "1")
        made = assembly.from_package(
            tarball, version=version, public_version=public or version, form=form
        )
        (tmp_path / "bundle").write_bytes(made.content)
        return tmp_path / "bundle"

    return make


@pytest.mark.parametrize("setup", [NEWEST, AUTUMN, AUGUST, JUNE, JANUARY])
def test_a_bundle_of_the_right_form_starts(tmp_path, store, bundle, setup):
    fake = workerd.make(tmp_path, setup)
    found = ask(store, fake)
    assert interface.start(fake.path, bundle(found.form), found, NEW, FLAGS) is None


def test_another_form_does_not(tmp_path, store, bundle):
    fake = workerd.make(tmp_path, NEWEST)
    with pytest.raises(UnsupportedError, match="does not start Python"):
        interface.start(fake.path, bundle(glue.SETUP), ask(store, fake), NEW, FLAGS)


def test_the_version_expected_is_in_the_error(tmp_path, store, bundle):
    fake = workerd.make(tmp_path, AUTUMN)
    found = ask(store, fake, OLD)
    path = bundle(found.form, "0.28.2")
    assert interface.start(fake.path, path, found, OLD, FLAGS) == "314.0.6"


def test_a_start_that_fails_otherwise_tells_what_workerd_said(tmp_path, store, bundle):
    fake = workerd.make(tmp_path, replace(NEWEST, broken_start="table index is out of bounds"))
    with pytest.raises(UnsupportedError) as caught:
        interface.start(fake.path, bundle(glue.ASM), ask(store, fake), NEW, FLAGS)
    assert "table index" in caught.value.why


def test_a_version_is_remembered_by_binary_and_version(tmp_path, store):
    fake = workerd.make(tmp_path, NEWEST)
    found = ask(store, fake)
    interface.remember_version(store, fake.path, "0.28.2", found, "314.0.6")
    assert interface.known_version(store, fake.path, "0.28.2", found) == "314.0.6"
    assert interface.known_version(store, fake.path, "314.0.6", found) is None


def test_flags_that_choose_a_pyodide_stand_in_the_binary(tmp_path, store):
    fake = workerd.make(tmp_path, NEWEST)
    assert interface.dated_flags(store, fake.path) == [
        "python_workers_20250116",
        "python_workers_314",
    ]
