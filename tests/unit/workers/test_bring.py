"""Official bundles that a user brings."""

from dataclasses import replace

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, NetworkError, OfflineError, ProjectError
from pyodide_offline.network import fetch
from pyodide_offline.workers import bring, bundle, supply
from pyodide_offline.workers.bundle import Module
from pyodide_offline.workers.probe import Want
from tests.peers.registry import Answer, Registry

CONTENT = b"the official bundle"
WANT = Want("314.0.6_11", "https://x/y", digests.of_bytes(CONTENT))
OTHER = Want("0.28.2_22", "https://x/z", digests.of_bytes(b"another"))
UNCHECKED = Want("0.28.2_9", "https://x/u", None)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES", (0.0, 0.0))


def test_a_file_is_known_by_its_digest_whatever_its_name(session, tmp_path):
    (tmp_path / "download (1)").write_bytes(CONTENT)
    (found,) = bring.bring(session, str(tmp_path / "download (1)"), [OTHER, WANT])
    assert found.want == WANT
    assert found.file_name == "pyodide_314.0.6_11.capnp.bin"
    assert not found.assembled
    entry = session.store.find(supply.KIND, "314.0.6_11")
    assert entry is not None
    assert entry.path.read_bytes() == CONTENT


def test_a_folder_gives_all_that_are_wanted(session, tmp_path):
    for name, content in {"a": b"another", "b": b"something else", "c": CONTENT}.items():
        (tmp_path / name).write_bytes(content)
    found = bring.bring(session, str(tmp_path), [WANT, OTHER])
    assert [one.want for one in found] == [OTHER, WANT]


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"\0"])
def test_a_file_that_is_none_is_refused_with_what_is_wanted(session, tmp_path, content):
    name = WANT.file_name  # the right name does not help
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        bring.bring(session, str(tmp_path / name), [WANT])
    assert WANT.digest is not None
    assert WANT.digest.sri in caught.value.why
    assert session.store.find(supply.KIND, "314.0.6_11") is None


def test_without_a_digest_the_name_and_the_form_decide(session, tmp_path):
    right = bundle.encode([Module("x", "src", b"code")])
    (tmp_path / UNCHECKED.file_name).write_bytes(right)
    (found,) = bring.bring(session, str(tmp_path), [UNCHECKED])
    assert found.entry.path.read_bytes() == right


@pytest.mark.parametrize("content", [b"<html>blocked</html>", b"", bundle.encode([])])
def test_without_a_digest_what_is_no_bundle_is_refused(session, tmp_path, content):
    (tmp_path / UNCHECKED.file_name).write_bytes(content)
    with pytest.raises(IntegrityError):
        bring.bring(session, str(tmp_path), [UNCHECKED])
    assert session.store.find(supply.KIND, UNCHECKED.bundle_id) is None


def test_without_a_digest_another_name_is_not_taken(session, tmp_path):
    (tmp_path / "x").write_bytes(bundle.encode([Module("x", "src", b"code")]))
    with pytest.raises(IntegrityError):
        bring.bring(session, str(tmp_path), [UNCHECKED])


def test_from_a_url(session):
    with Registry() as origin:
        origin.script("/some/where", Answer(200, CONTENT))
        (found,) = bring.bring(session, origin.origin + "/some/where", [WANT])
    assert found.entry.path.read_bytes() == CONTENT
    assert found.entry.provenance["from"].startswith(origin.origin)


def test_a_url_that_answers_otherwise(session):
    with Registry() as origin:
        origin.script("/gone", Answer(404, b""))
        with pytest.raises(NetworkError, match="404"):
            bring.bring(session, origin.origin + "/gone", [WANT])
        with pytest.raises(OfflineError):
            bring.bring(replace(session, offline=True), origin.origin + "/gone", [WANT])


def test_nothing_there(session, tmp_path):
    with pytest.raises(ProjectError, match="no file or folder"):
        bring.bring(session, str(tmp_path / "none"), [WANT])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProjectError, match="no files"):
        bring.bring(session, str(tmp_path / "empty"), [WANT])


def test_a_damaged_one_in_the_store_is_made_again(session, tmp_path):
    (tmp_path / "b").write_bytes(CONTENT)
    (found,) = bring.bring(session, str(tmp_path / "b"), [WANT])
    found.entry.path.chmod(0o600)
    found.entry.path.write_bytes(CONTENT[::-1])
    (again,) = bring.bring(session, str(tmp_path / "b"), [WANT])
    assert again.entry.path.read_bytes() == CONTENT
