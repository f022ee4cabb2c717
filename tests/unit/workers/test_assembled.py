"""A bundle made for exactly one binary, date and set of flags."""

from dataclasses import replace

import pytest

from pyodide_offline.distribution import npm
from pyodide_offline.errors import AssemblyError, UnsupportedError
from pyodide_offline.workers import assembled, glue, probe
from tests.peers import pyodide, workerd
from tests.peers.workerd import Setup

DATE, FLAGS = "2026-11-17", ["python_workers"]


@pytest.fixture
def npm_has(session, monkeypatch):
    text = [""]

    def tarball(session, name, version, *, npm):
        def produce(target):
            pyodide.tarball(target, version, text=text[0])
            return {"source": "npm", "package": name, "version": version}

        return session.store.fill("npm", f"{name}@{version}", produce)

    monkeypatch.setattr(npm, "tarball", tarball)
    return text


def make(session, fake):
    want = probe.want(session.store, fake.path, DATE, FLAGS)
    found = assembled.make(session, want, fake.path, DATE, FLAGS, lambda: None, renew=False)
    return want, found


def test_what_was_made_is_found_again(session, tmp_path, npm_has):
    want, made = make(session, workerd.make(tmp_path / "w", Setup(form="setup")))
    assert assembled.find(session, want) == made
    assert made.entry.provenance["form"] == glue.SETUP


def test_the_answer_to_another_question_is_not(session, tmp_path, npm_has):
    want, _ = make(session, workerd.make(tmp_path / "w"))
    assert assembled.find(session, replace(want, question="another")) is None


def test_new_rules_make_a_new_bundle(session, tmp_path, npm_has, monkeypatch):
    want, _ = make(session, workerd.make(tmp_path / "w"))
    monkeypatch.setattr(glue, "revision", lambda: "newer")
    assert assembled.find(session, want) is None


def test_a_missing_spot_names_spot_file_and_version_and_the_way_on(session, tmp_path, npm_has):
    npm_has[0] = pyodide.script("314.0.6").replace("crypto.getRandomValues(", "", 1)
    fake = workerd.make(tmp_path / "w", Setup(form="setup"))
    with pytest.raises(AssemblyError, match=r"314\.0\.6.*'entropy'.*pyodide\.asm\.mjs") as caught:
        make(session, fake)
    assert "--bundle official" in caught.value.next_step


def test_a_bundle_that_does_not_start_is_not_found_again(session, tmp_path, npm_has):
    fake = workerd.make(tmp_path / "w", Setup(broken_start="no"))
    with pytest.raises(UnsupportedError, match="does not start"):
        make(session, fake)
    want = probe.want(session.store, fake.path, DATE, FLAGS)
    assert assembled.find(session, want) is None
