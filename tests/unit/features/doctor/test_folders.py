"""The folder that workerd reads, what is in it, and the store."""

import os
import shutil

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.features.doctor import folders
from pyodide_offline.features.doctor.finding import State
from tests.peers import toolroom


@pytest.fixture
def folder(machine):
    machine.cache_dir.mkdir(mode=0o700)
    return machine.cache_dir


def test_a_private_folder_passes_and_one_to_come_too(observed):
    assert "first start makes it" in folders.cache(observed).summary
    observed.session.cache_dir.mkdir(mode=0o700)
    assert folders.cache(observed).state is State.PASS


def test_a_folder_that_others_can_write_can_be_mended(observed, folder):
    folder.chmod(0o777)
    found = folders.cache(observed)
    assert (found.state, found.blame, found.repair) == (State.FAIL, "cache", "cache-mode")
    assert found.evidence["mode"] == "0777"


def test_a_folder_of_another_user_is_refused(observed, folder, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    found = folders.cache(observed)
    assert (found.state, found.repair) == (State.FAIL, None)
    assert "belongs to another user" in found.summary
    assert "--cache-dir" in found.fix


@pytest.mark.parametrize("what", ["a file", "a symbolic link"])
def test_what_is_no_folder_is_refused(observed, what):
    path = observed.session.cache_dir
    path.write_text("") if what == "a file" else path.symlink_to("/tmp")
    assert what in folders.cache(observed).summary


def test_a_folder_that_cannot_be_made_is_a_fault(observed, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be made" in folders.cache(observed).summary


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"<html>" + b" " * 70_000, "page of HTML"),
        (bytes(70_000), "zeros"),
        (b"x" * 70_000, "another digest"),
    ],
)
def test_a_bad_bundle_stops_every_start(observed, folder, content, reason):
    assert folders.content(observed).state is State.SKIP
    (folder / f"pyodide_{toolroom.SETUP.id}.capnp.bin").write_bytes(content)
    found = folders.content(observed)
    assert (found.state, found.blame, found.repair) == (State.FAIL, "cache", "quarantine")
    assert reason in found.summary


def test_a_good_bundle_passes_and_one_that_nobody_knows_is_left_alone(observed, folder):
    (folder / f"pyodide_{toolroom.SETUP.id}.capnp.bin").write_bytes(toolroom.BUNDLE)
    (folder / "pyodide_other_1.capnp.bin").write_bytes(b"y" * 70_000)
    assert folders.content(observed).state is State.PASS


def test_an_assembled_one_must_be_that_which_its_folder_is_called_by(observed, folder):
    short = digests.of_bytes(toolroom.BUNDLE).short
    path = folder / f"dev-{short}" / "pyodide_dev.capnp.bin"
    path.parent.mkdir()
    path.write_bytes(b"z" * 70_000)
    assert folders.content(observed).state is State.PASS, "nobody knows better"
    toolroom.store_bundle(observed.session.store)
    assert folders.content(observed).state is State.FAIL
    path.write_bytes(toolroom.BUNDLE)
    assert folders.content(observed).state is State.PASS


@pytest.mark.parametrize(
    ("free", "state"), [(1 << 20, State.FAIL), (64 << 20, State.WARN), (1 << 40, State.PASS)]
)
def test_the_stores_disk_needs_room(observed, monkeypatch, free, state):
    usage = type("U", (), {"free": free})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert folders.store(observed).state is state


def test_a_store_that_cannot_be_written_is_a_fault(observed, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = folders.store(observed)
    assert (found.state, found.blame) == (State.FAIL, "cache")
