"""Files of miniflare patched and given back, on this disk."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import StorageError, ToolchainError, UnsupportedError
from pyodide_offline.features import patch
from pyodide_offline.workers import packages, probe, supply
from pyodide_offline.workers.miniflare import State
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import miniflares, wrangler
from tests.unit.workers.test_miniflare import ORIGINAL


def install(modules: Path, text: str = ORIGINAL, version: str = "5.1.0") -> Path:
    folder = modules / "miniflare"
    (folder / "dist" / "src").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "miniflare", "version": version}))
    file = folder / "dist" / "src" / "index.js"
    file.write_bytes(text.encode())
    return file


@pytest.fixture
def file(session) -> Path:
    return install(session.project / "node_modules")


@pytest.fixture(autouse=True)
def _empty_path(tmp_path, monkeypatch):
    """No Node of this machine, and no wrangler of its user."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def fake_node(tmp_path: Path, script: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    node = folder / "node"
    node.write_text(f"#!/bin/sh\n{script}\n")
    node.chmod(0o755)
    return node


def apply(session, *named):
    return patch.apply(session, named, check=False)


def revert(session, *named):
    return patch.revert(session, named, check=False)


def state(session):
    (found,) = patch.status(session)
    return found.finding.state


def test_applied_once_then_nothing_to_do_then_reverted_byte_for_byte(session, file):
    assert state(session) is State.ORIGINAL
    assert [one.did for one in apply(session)] == ["patched"]
    assert state(session) is State.PATCHED
    assert f'"{session.cache_dir}"' in file.read_text()
    before = file.stat()
    assert [one.did for one in apply(session)] == ["is patched already"]
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    revert(session)
    assert file.read_bytes() == ORIGINAL.encode()
    assert "nothing to do" in revert(session)[0].did
    assert [one.name for one in file.parent.iterdir()] == ["index.js"]


def test_the_cache_folder_is_made_for_its_user_alone(session, file):
    apply(session)
    assert session.cache_dir.stat().st_mode & 0o777 == 0o700


def test_a_cache_folder_that_others_can_write_is_refused(session, file):
    session.cache_dir.mkdir()
    session.cache_dir.chmod(0o777)
    with pytest.raises(StorageError):
        apply(session)
    assert state(session) is State.ORIGINAL


def test_another_cache_folder_replaces_the_first(session, file, tmp_path):
    apply(session)
    moved = replace(session, cache_dir=tmp_path / "another")
    assert apply(moved)[0].did == "patched for another folder"
    (found,) = patch.status(session)
    assert found.finding.cache_dir == str(tmp_path / "another")
    revert(session)
    assert file.read_bytes() == ORIGINAL.encode()


def test_a_shared_file_is_replaced_and_never_written_into(session, file, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    os.link(file, shared / "content")
    file.chmod(0o444)
    apply(session)
    assert (shared / "content").read_bytes() == ORIGINAL.encode()
    assert (shared / "content").stat().st_nlink == 1
    assert file.stat().st_mode & 0o777 == 0o444
    os.link(file, shared / "patched")
    revert(session)
    assert (shared / "patched").read_bytes() != ORIGINAL.encode()


def test_a_link_to_a_shared_file_is_replaced_too(session, file, tmp_path):
    shared = tmp_path / "content.js"
    file.rename(shared)
    file.symlink_to(shared)
    apply(session)
    assert state(session) is State.PATCHED
    assert shared.read_bytes() == ORIGINAL.encode()


def test_a_half_applied_file_is_mended_and_given_back(session, file):
    apply(session)
    lines = file.read_text().split("\n")
    begin = next(n for n, line in enumerate(lines) if "patch begins" in line)
    file.write_text("\n".join([*lines[: begin + 3], *lines[begin + 6 :]]))
    assert state(session) is State.HALF
    assert apply(session)[0].did == "mended and patched"
    assert state(session) is State.PATCHED
    file.write_text("\n".join([*lines[: begin + 3], *lines[begin + 6 :]]))
    revert(session)
    assert file.read_bytes() == ORIGINAL.encode()


@pytest.mark.parametrize("keep_mark", [True, False], ids=["with the digest", "without it"])
def test_a_damaged_file_comes_back_from_the_store(session, file, keep_mark):
    apply(session)
    lines = file.read_text().split("\n")
    begin = next(n for n, line in enumerate(lines) if "patch begins" in line)
    end = next(n for n, line in enumerate(lines) if "patch ends" in line)
    cut = lines[: end + 1] if keep_mark else [*lines[:begin], *lines[begin + 1 : end + 2]]
    file.write_text("\n".join(cut))
    assert state(session) is State.HALF
    revert(session)
    assert file.read_bytes() == ORIGINAL.encode()


@pytest.mark.parametrize("copy", ["gone", "damaged"])
def test_a_damaged_file_without_a_good_copy_is_refused(session, file, copy):
    apply(session)
    file.write_text(file.read_text().partition("    /* pyodide-offline patch ends")[0])
    (entry,) = session.store.entries()
    if copy == "gone":
        session.store.remove(entry)
    else:
        entry.path.chmod(0o600)
        entry.path.write_bytes(ORIGINAL.replace("serve", "steal").encode())
    for outcome in (*revert(session), *apply(session)):
        assert isinstance(outcome.error, UnsupportedError)
        assert "npm install" in outcome.error.next_step


def test_another_users_change_beside_ours_stays(session, file):
    apply(session)
    file.write_text(file.read_text() + "// mine\n")
    assert "keeps what else was changed" in revert(session)[0].did
    assert file.read_text() == ORIGINAL + "// mine\n"


def test_npm_has_replaced_the_file_meanwhile(session, file):
    apply(session)
    newer = ORIGINAL.replace("--binary", "--binary-too")
    file.write_text(newer)
    assert "nothing to do" in revert(session)[0].did
    assert file.read_text() == newer
    apply(session)
    revert(session)
    assert file.read_text() == newer


@pytest.mark.parametrize(
    "text",
    [
        ORIGINAL.replace('"-"', '"--pyodide-bundle-disk-cache-dir=/x", "-"'),
        ORIGINAL.replace("getRuntimeArgs", "g"),
        "",
    ],
    ids=["foreign", "unknown", "empty"],
)
def test_what_is_not_understood_is_refused_and_spares_the_rest(session, file, text):
    other = install(session.project / "node_modules" / "x" / "node_modules", text)
    for outcomes in (apply(session), revert(session)):
        by_path = {one.status.path: one for one in outcomes}
        assert by_path[file].error is None
        assert isinstance(by_path[other].error, UnsupportedError)
        assert "5.1.0" in by_path[other].error.what
        assert other.read_text() == text
    assert file.read_bytes() == ORIGINAL.encode()


def test_a_file_that_is_no_text_or_not_there_is_unknown(session, file):
    file.write_bytes(b"\xff\xfe")
    assert state(session) is State.UNKNOWN
    file.unlink()
    assert state(session) is State.UNKNOWN
    assert apply(session)[0].error


def test_nothing_found_is_an_error_for_apply_only(session):
    assert patch.status(session) == []
    assert patch.diff(session) == []
    with pytest.raises(ToolchainError, match="No miniflare"):
        apply(session)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_node_checks_the_new_text_beside_the_file(session, file, tmp_path, monkeypatch):
    script = f'echo "$1 $2" > "{tmp_path}/seen"; /bin/cp "$2" "{tmp_path}/checked.js"'
    fake_node(tmp_path, f'[ -z "$NODE_OPTIONS" ] || exit 1; {script}')
    # What a user has Node do at its start must not decide here.
    monkeypatch.setenv("NODE_OPTIONS", "--require=/not/there")
    (outcome,) = patch.apply(session)
    assert outcome.error is None
    option, _, checked = (tmp_path / "seen").read_text().strip().partition(" ")
    assert option == "--check"
    assert Path(checked).parent == file.parent
    assert checked.endswith(".js")
    assert (tmp_path / "checked.js").read_bytes() == file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_text_that_does_not_parse_never_takes_the_name(session, file, tmp_path):
    fake_node(tmp_path, 'echo "SyntaxError: Unexpected token" >&2; exit 1')
    (outcome,) = patch.apply(session)
    assert isinstance(outcome.error, UnsupportedError)
    assert "SyntaxError" in outcome.error.why
    assert file.read_bytes() == ORIGINAL.encode()
    assert [one.name for one in file.parent.iterdir()] == ["index.js"]


def test_without_node_it_says_how_to_go_on(session, file):
    with pytest.raises(ToolchainError) as raised:
        patch.apply(session)
    assert "--no-check" in raised.value.next_step
    assert state(session) is State.ORIGINAL


def test_a_folder_that_cannot_be_written_is_said(session, file):
    file.parent.chmod(0o500)
    try:
        if os.access(file.parent, os.W_OK):
            pytest.skip("this user may write everywhere")
        (outcome,) = apply(session)
        assert isinstance(outcome.error, StorageError)
    finally:
        file.parent.chmod(0o700)


def test_diff_shows_what_apply_would_do_and_has_done(session, file):
    (would,) = patch.diff(session)
    apply(session)
    (has,) = patch.diff(session)
    assert would == has
    assert f'+    }})("{session.cache_dir}"),' in has
    assert "+++ b/" + str(file).lstrip("/") in has


def test_the_original_is_kept_once_a_file(session, file):
    apply(session)
    revert(session)
    apply(session)
    (kept,) = [entry for entry in session.store.entries() if entry.kind == patch.KIND]
    assert kept.path.read_bytes() == ORIGINAL.encode()
    assert kept.provenance["version"] == "5.1.0"


def test_the_recipes_are_found():
    (how,) = miniflares.recipes()
    assert how.file == "dist/src/index.js"


WANT = Want("314.0.6_1", "https://x/pyodide_314.0.6_1.capnp.bin", digests.of_bytes(b"official"))


@pytest.fixture
def python_project(session, monkeypatch):
    text = 'main = "a.py"\ncompatibility_date = "2026-11-17"\n'
    (session.project / "wrangler.toml").write_text(text)
    own = type("W", (), {"workerd": session.project / "workerd"})()
    monkeypatch.setattr(wrangler, "find", lambda _: own)
    monkeypatch.setattr(probe, "want", lambda *_: WANT)


def stored(session, name, content):
    def produce(target):
        target.write_bytes(content)
        return {}

    return session.store.fill(supply.KIND, name, produce)


def test_advice_without_a_python_worker_names_the_shim(session):
    assert "pyodide-offline run" in patch.advice(session)


@pytest.mark.usefixtures("python_project")
def test_advice_for_a_bundle_that_is_only_assembled_is_to_run(session, monkeypatch):
    entry = stored(session, "assembled", b"made here")
    supplied = Supplied(WANT, entry, probe.DEVELOPMENT_ID, (probe.DEVELOPMENT_FLAG,))
    monkeypatch.setattr(supply, "find", lambda *_: supplied)
    assert "only as assembled" in patch.advice(session)
    assert "pyodide-offline run -- wrangler dev instead" in patch.advice(session)


@pytest.mark.usefixtures("python_project")
def test_an_official_bundle_of_the_store_is_put_in_place(session, monkeypatch):
    supplied = Supplied(WANT, stored(session, "official", b"official"), WANT.bundle_id, ())
    monkeypatch.setattr(supply, "find", lambda *_: supplied)
    assert "lies in" in patch.advice(session)
    assert (session.cache_dir / WANT.file_name).read_bytes() == b"official"


@pytest.mark.usefixtures("python_project")
def test_advice_does_not_take_a_wrong_file_for_the_bundle(session, monkeypatch):
    monkeypatch.setattr(supply, "find", lambda *_: None)
    session.cache_dir.mkdir()
    (session.cache_dir / WANT.file_name).write_bytes(b"not it")
    assert "This worker needs" in patch.advice(session)
    (session.cache_dir / WANT.file_name).write_bytes(b"official")
    assert "lies in" in patch.advice(session)


@pytest.mark.usefixtures("python_project")
def test_a_release_without_digests_gets_an_assembled_one_and_what_lies_beside(session, monkeypatch):
    want = replace(WANT, digest=None)
    monkeypatch.setattr(probe, "want", lambda *_: want)
    entry = stored(session, "assembled", b"made here")
    supplied = Supplied(want, entry, want.bundle_id, (), archives=("ssl.tar.gz", "lzma.tar.gz"))
    monkeypatch.setattr(supply, "find", lambda *_: supplied)
    session.cache_dir.mkdir()
    (session.cache_dir / "ssl.tar.gz").write_bytes(b"the real one")
    assert "lies in" in patch.advice(session)
    assert (session.cache_dir / want.file_name).read_bytes() == b"made here"
    assert (session.cache_dir / "ssl.tar.gz").read_bytes() == b"the real one"
    assert (session.cache_dir / "lzma.tar.gz").read_bytes() == packages.empty_archive()


@pytest.mark.usefixtures("python_project")
def test_a_bundle_brought_by_hand_that_cannot_be_judged_stays(session, monkeypatch):
    want = replace(WANT, digest=None)
    monkeypatch.setattr(probe, "want", lambda *_: want)
    entry = stored(session, "assembled", b"made here")
    supplied = Supplied(want, entry, want.bundle_id, (), archives=("ssl.tar.gz",))
    monkeypatch.setattr(supply, "find", lambda *_: supplied)
    session.cache_dir.mkdir()
    (session.cache_dir / want.file_name).write_bytes(b"official, perhaps")
    assert "lies in" in patch.advice(session)
    assert (session.cache_dir / want.file_name).read_bytes() == b"official, perhaps"
    assert not (session.cache_dir / "ssl.tar.gz").exists()
