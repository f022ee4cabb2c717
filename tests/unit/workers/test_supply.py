"""Where a worker's bundle comes from."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.distribution import npm
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    RegistryError,
    UnsupportedError,
)
from pyodide_offline.network import fetch
from pyodide_offline.network.mirrored import TOKEN_VARIABLE, VARIABLE
from pyodide_offline.workers import bundle, interface, supply
from pyodide_offline.workers.probe import DEVELOPMENT_FLAG
from tests.peers import pyodide, workerd
from tests.peers.registry import Answer, Registry
from tests.peers.workerd import Setup

FLAGS = ["python_workers"]
NEW, OLD, OLDEST = "2026-11-17", "2025-11-02", "2025-01-01"
OFFICIAL = b"the official bundle"
SRI = digests.of_bytes(OFFICIAL).sri


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES", (0.0, 0.0))


@pytest.fixture
def npm_has(session, monkeypatch, tmp_path):
    """npm's packages at hand, and a count of how often they were asked for."""
    asked = []
    module = {"314.0.6": True, "0.28.2": False}

    def tarball(session, name, version, *, npm):
        asked.append(version)
        if version not in module:
            raise RegistryError(f"The registry has no {name}@{version} (404).")

        def produce(target):
            pyodide.tarball(target, version, module=module[version])
            return {"source": "npm", "package": name, "version": version}

        return session.store.fill("npm", f"{name}@{version}", produce)

    monkeypatch.setattr(npm, "tarball", tarball)
    return asked


@pytest.fixture
def no_cdn():
    """A CDN whose name is not found: the empty namespace has no resolver."""
    return "https://pyodide.invalid/pyodide_{}.capnp.bin"


@contextmanager
def cdn(content=OFFICIAL, status=200):
    with Registry() as origin:
        origin.script("/pyodide_314.0.6_2026-08-17_11.capnp.bin", Answer(status, content))
        yield origin


def get(session, fake, date=NEW, **more):
    return supply.supply(session, fake.path, date, FLAGS, **more)


def test_assembled_from_npm_where_the_official_one_cannot_be_had(
    session, tmp_path, npm_has, no_cdn
):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn))
    found = get(session, fake)
    assert found.assembled
    assert found.flags == (DEVELOPMENT_FLAG,)
    assert found.file_name == "pyodide_dev.capnp.bin"
    assert (found.python, found.pyodide, found.python_series) == ("3.14.2", "314.0.6", "3.14")
    assert len(bundle.decode(found.entry.path.read_bytes())) == 3
    assert "assembled from npm" in found.sentence()


def test_provenance_tells_what_came_from_where(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn))
    provenance = get(session, fake).entry.provenance
    assert provenance["source"] == "npm"
    assert provenance["package"]["version"] == "314.0.6"
    assert provenance["rewrites"]["clock"] == 22


def test_a_second_start_asks_for_nothing(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn))
    first = get(session, fake)
    calls = len(fake.calls())
    again = get(replace(session, offline=True), fake)
    assert again == first
    assert len(fake.calls()) == calls
    assert npm_has == ["314.0.6"]


def test_each_date_gets_its_own_python(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn, version_taken="314.0.6"))
    new, old = get(session, fake), get(session, fake, OLD)
    assert (new.python, old.python) == ("3.14.2", "3.13.2")
    assert new.entry.digest != old.entry.digest
    assert old.entry.provenance["public_version"] == "314.0.6"
    # The one made to ask for the version is not kept.
    kept = [entry.name for entry in session.store.entries() if entry.kind == supply.KIND]
    assert [name for name in kept if "0.28.2" in name] == [old.entry.name]


def test_a_bundle_that_workerd_refuses_is_an_error(session, tmp_path, npm_has, no_cdn, monkeypatch):
    fake = workerd.make(tmp_path / "w", Setup(version_taken="314.0.6", url=no_cdn))
    answers = iter(["315.0.0", "316.0.0"])
    monkeypatch.setattr(interface, "start", lambda *_: next(answers))
    with pytest.raises(UnsupportedError, match="does not take") as caught:
        get(session, fake, OLD)
    assert "316.0.0" in caught.value.why
    assert supply.find(session, _want(session, fake, OLD)) is None


def _want(session, fake, date):
    from pyodide_offline.workers import probe

    return probe.want(session.store, fake.path, date, FLAGS)


def test_the_official_one_is_preferred_and_verified(session, tmp_path, npm_has):
    with cdn() as origin:
        fake = workerd.make(
            tmp_path / "w", Setup(digest=SRI, url=origin.origin + "/pyodide_{}.capnp.bin")
        )
        found = get(session, fake)
        assert not found.assembled
        assert found.flags == ()
        assert found.entry.path.read_bytes() == OFFICIAL
        assert found.file_name == "pyodide_314.0.6_2026-08-17_11.capnp.bin"
        assert npm_has == []
        requests = len(origin.requests)
        assert get(session, fake).entry == found.entry
        assert len(origin.requests) == requests == 1


def test_with_a_mirror_nobody_else_is_asked(session, tmp_path, npm_has, no_cdn):
    with cdn() as mirror:
        mirror.token = "s3cret"
        mirror.script("/team/pyodide_314.0.6_2026-08-17_11.capnp.bin", Answer(200, OFFICIAL))
        fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=no_cdn))
        named = {VARIABLE: f"{mirror.origin}/team", TOKEN_VARIABLE: "s3cret"}
        found = get(replace(session, environ={**session.environ, **named}), fake)
        assert not found.assembled
        assert [one.authorization for one in mirror.requests] == ["Bearer s3cret"]
        assert "s3cret" not in str(found.entry.provenance)


def test_a_mirror_that_refuses_is_told_as_that(session, tmp_path, npm_has, no_cdn):
    with cdn() as mirror:
        mirror.token = "s3cret"
        fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=no_cdn))
        named = replace(session, environ={**session.environ, VARIABLE: mirror.origin + "/team"})
        with pytest.raises(NetworkError, match="lets nobody in without a token"):
            get(named, fake, policy=supply.OFFICIAL)


@pytest.mark.parametrize(
    "answer", [(200, b"<html>blocked</html>"), (200, OFFICIAL[:5]), (403, b"no"), (404, b"")]
)
def test_a_wrong_answer_is_not_taken_for_the_bundle(session, tmp_path, npm_has, progress, answer):
    status, content = answer
    with cdn(content, status) as origin:
        fake = workerd.make(
            tmp_path / "w", Setup(digest=SRI, url=origin.origin + "/pyodide_{}.capnp.bin")
        )
        assert get(session, fake).assembled
        assert any("official bundle cannot be had" in note for note in progress.notes)
        with pytest.raises((NetworkError, IntegrityError)):
            get(session, fake, policy=supply.OFFICIAL)


def test_npm_only_makes_no_request_to_the_cdn(session, tmp_path, npm_has):
    with cdn() as origin:
        fake = workerd.make(
            tmp_path / "w", Setup(digest=SRI, url=origin.origin + "/pyodide_{}.capnp.bin")
        )
        assert get(session, fake, policy=supply.NPM).assembled
        assert origin.requests == []


def test_a_bundle_brought_by_hand_is_taken_over(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=no_cdn))
    session.cache_dir.mkdir()
    (session.cache_dir / "pyodide_314.0.6_2026-08-17_11.capnp.bin").write_bytes(OFFICIAL)
    found = get(replace(session, offline=True), fake)
    assert not found.assembled
    assert found.entry.path.read_bytes() == OFFICIAL


def test_a_wrong_file_brought_by_hand_is_not(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=no_cdn))
    session.cache_dir.mkdir()
    (session.cache_dir / "pyodide_314.0.6_2026-08-17_11.capnp.bin").write_bytes(b"other")
    assert get(session, fake).assembled


def test_offline_with_an_empty_store_says_what_to_type(session, tmp_path):
    fake = workerd.make(tmp_path / "w")
    with pytest.raises(OfflineError, match=r"pyodide@314\.0\.6.*prefetch"):
        get(replace(session, offline=True), fake)


def test_python_3_12_is_only_in_the_official_bundle(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(old_id="0.26.0a2_2024-03-01_91", url=no_cdn))
    with pytest.raises(UnsupportedError, match=r"pyodide_0\.26\.0a2_2024-03-01_91\.capnp\.bin"):
        get(session, fake, OLDEST)


def test_a_version_that_npm_lacks_names_both_failures(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(id="999.0.0_2030-01-01_1", url=no_cdn))
    with pytest.raises(RegistryError, match=r"Neither the official bundle nor npm.*404"):
        get(session, fake)


def test_a_damaged_bundle_is_made_again(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn))
    found = get(session, fake)
    whole = found.entry.path.read_bytes()
    found.entry.path.chmod(0o600)
    found.entry.path.write_bytes(whole[:100])
    again = get(replace(session, offline=True), fake, renew=True)
    assert again.entry.path.read_bytes() == whole


@pytest.mark.parametrize(
    ("pyodide_version", "series"),
    [("0.26.0a2", "3.12"), ("0.28.2", "3.13"), ("314.0.6", "3.14"), ("315.1.0", "3.15")],
)
def test_the_series_follows_from_pyodides_version(pyodide_version, series):
    assert supply.python_series(pyodide_version) == series


@pytest.mark.parametrize("form", ["setup", "setup-as-data"])
def test_a_release_without_digests_gets_it_under_the_real_id(
    session, tmp_path, npm_has, no_cdn, form
):
    setup = Setup(
        form=form, digest=None, archives=("ssl.tar.gz",), url=no_cdn, id="0.28.2_2025-01-16_9"
    )
    fake = workerd.make(tmp_path / "w", setup)
    found = get(session, fake)
    assert found.assembled
    assert (found.bundle_id, found.flags) == ("0.28.2_2025-01-16_9", ())
    assert found.archives == ("ssl.tar.gz",)
    assert get(replace(session, offline=True), fake) == found


def test_a_second_date_starts_python_no_second_time(session, tmp_path, npm_has, no_cdn):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn, version_taken="314.0.6"))
    one = get(session, fake, OLD)
    before = len(fake.calls())
    assert get(session, fake, "2025-11-03").entry == one.entry
    # Id, digest, interface: three short runs that start no Python.
    assert len(fake.calls()) - before == 3


BY_FLAG = {
    "python_workers_20250116": "0.28.2_2025-01-16_22",
    "python_workers_314": "314.0.6_2026-08-17_11",
}


@pytest.mark.parametrize(
    ("date", "python", "flags"),
    [
        (NEW, "3.14", (DEVELOPMENT_FLAG,)),
        (NEW, "3.13", ("python_workers_20250116", DEVELOPMENT_FLAG)),
        (OLD, "3.14", ("python_workers_314", DEVELOPMENT_FLAG)),
        (OLD, "3.13", (DEVELOPMENT_FLAG,)),
    ],
)
def test_another_python_is_chosen_by_a_flag(
    session, tmp_path, npm_has, no_cdn, date, python, flags
):
    fake = workerd.make(tmp_path / "w", Setup(url=no_cdn, choosing=BY_FLAG))
    found = get(session, fake, date, python=python)
    assert (found.python_series, found.flags) == (python, flags)
    calls = len(fake.calls())
    assert get(session, fake, date, python=python) == found
    assert len(fake.calls()) == calls


def test_a_python_that_the_binary_has_not_is_an_error(session, tmp_path, npm_has):
    fake = workerd.make(tmp_path / "w", Setup(id="0.28.2_2025-01-16_9"))
    with pytest.raises(UnsupportedError, match=r"no Python 3\.14"):
        get(session, fake, python="3.14")


def test_an_official_bundle_of_another_python_is_preferred_too(session, tmp_path, npm_has):
    with cdn() as origin:
        url = origin.origin + "/pyodide_{}.capnp.bin"
        fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=url, choosing=BY_FLAG))
        found = get(session, fake, OLD, python="3.14")
    assert not found.assembled
    assert found.flags == ("python_workers_314",)


def test_another_date_does_not_wait_for_the_network_again(session, tmp_path, npm_has):
    with cdn(b"no", 404) as origin:
        url = origin.origin + "/pyodide_{}.capnp.bin"
        fake = workerd.make(tmp_path / "w", Setup(digest=SRI, url=url))
        assert get(session, fake).assembled
        requests = len(origin.requests)
        assert get(session, fake, "2026-11-16").assembled
        assert len(origin.requests) == requests
        with pytest.raises(NetworkError):
            get(session, fake, "2026-11-15", policy=supply.OFFICIAL)


def test_offline_an_official_bundle_of_an_older_release_gets_empty_packages(session, tmp_path):
    setup = Setup(digest=None, form="setup", archives=("ssl.tar.gz",), lockfile=True)
    fake = workerd.make(tmp_path / "w", setup)
    session.store.fill(supply.KIND, setup.id, lambda path: path.write_bytes(OFFICIAL) and {})
    assert get(replace(session, offline=True), fake).archives == ("ssl.tar.gz",)
    # Where there is a network it downloads the real ones itself.
    assert get(session, fake).archives == ()
