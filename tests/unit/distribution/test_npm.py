"""Packages from a registry: a real server on loopback, npm's configuration in files."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest
from pyodide_offline.distribution import npm, npmrc
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    PyodideOfflineError,
    RegistryError,
)
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from tests.conftest import Recorder
from tests.peers.registry import BLOCK_PAGE, Answer, Registry, integrity

VERSION = "314.0.6"
SECRET = "s3cret-token"
HTML = {"Content-Type": "text/html"}
META = f"/pyodide/{VERSION}"
FILE = f"/pyodide/-/pyodide-{VERSION}.tgz"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def peer(session: Session) -> Iterator[Registry]:
    """A registry with pyodide, named in the project's .npmrc."""
    with Registry() as registry:
        registry.add("pyodide", VERSION, files={"package/pyodide.mjs": b"export {}"})
        (session.project / "package.json").write_text("{}")
        _write(session, f"registry={registry.url}")
        yield registry


def _write(session: Session, *lines: str) -> None:
    (session.project / ".npmrc").write_text("\n".join(lines) + "\n")


def _get(session: Session, name: str = "pyodide", version: str = VERSION) -> Entry:
    return npm.tarball(session, name, version, npm=None)


def _error(session: Session, kind: type[PyodideOfflineError]) -> PyodideOfflineError:
    with pytest.raises(kind) as caught:
        _get(session)
    assert session.store.entries() == []
    assert SECRET not in str(caught.value)
    assert 1 <= len(caught.value.lines()) <= 3
    return caught.value


def _near(peer: Registry) -> str:
    return peer.origin.removeprefix("http:")


def test_a_package_lands_in_the_store_with_its_provenance(
    session: Session, peer: Registry, progress: Recorder
) -> None:
    data = peer.add("pyodide", VERSION)
    entry = _get(session)
    assert (entry.kind, entry.name) == ("npm", f"pyodide@{VERSION}")
    assert entry.path.read_bytes() == data
    assert entry.provenance == {
        "source": "npm",
        "package": "pyodide",
        "version": VERSION,
        "integrity": integrity(data),
        "registry": peer.url,
        "url": peer.origin + FILE,
    }
    assert peer.paths() == [META, FILE]
    assert progress.tasks[f"pyodide@{VERSION}"][0].done == len(data)


def test_what_is_in_the_store_needs_no_request_not_even_offline(
    session: Session, peer: Registry
) -> None:
    first = _get(session)
    before = len(peer.requests)
    assert _get(session).digest == first.digest
    assert _get(replace(session, offline=True)).path == first.path
    assert len(peer.requests) == before


def test_offline_and_missing_asks_nobody(session: Session, peer: Registry) -> None:
    with pytest.raises(OfflineError, match=rf"pyodide@{VERSION} is not in the store"):
        npm.tarball(replace(session, offline=True), "pyodide", VERSION, npm=["/no/such/npm"])
    assert peer.requests == []


def test_four_at_once_download_once(session: Session, peer: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(lambda _: _get(session), range(4)))
    assert len({entry.digest for entry in entries}) == 1
    assert peer.paths() == [META, FILE]


def test_a_registry_below_a_path_and_a_scoped_name(session: Session) -> None:
    with Registry(path="/repository/npm/") as peer:
        data = peer.add("@corp/tool", "1.0.0-beta.1")
        _write(session, f"@corp:registry={peer.url.rstrip('/')}")
        entry = _get(session, "@corp/tool", "1.0.0-beta.1")
        assert entry.path.read_bytes() == data
        assert peer.paths()[0] == "/repository/npm/@corp%2Ftool/1.0.0-beta.1"


@pytest.mark.parametrize("status", [404, 405])
def test_a_registry_that_serves_only_whole_lists_is_asked_for_one(
    session: Session, peer: Registry, status: int
) -> None:
    peer.script(META, Answer(status))
    _get(session)
    assert peer.paths() == [META, "/pyodide", FILE]


def test_a_token_goes_along_to_metadata_and_tarball(session: Session, peer: Registry) -> None:
    peer.token = SECRET
    _write(session, f"registry={peer.url}", f"{_near(peer)}/:_authToken={SECRET}")
    entry = _get(session)
    assert [one.authorization for one in peer.requests] == [f"Bearer {SECRET}"] * 2
    assert SECRET not in json.dumps(dict(entry.provenance))


def test_a_user_and_password_in_the_registrys_address_work_and_stay_out_of_the_record(
    session: Session, peer: Registry
) -> None:
    peer.basic = f"me:{SECRET}"
    _write(session, f"registry={peer.url.replace('//', f'//me:{SECRET}@')}")
    entry = _get(session)
    assert SECRET not in json.dumps(dict(entry.provenance))


def test_a_missing_token_names_the_line_that_is_missing(session: Session, peer: Registry) -> None:
    peer.token = SECRET
    error = _error(session, RegistryError)
    assert "does not let you have" in error.what
    assert f"No line {_near(peer)}/:_authToken=…" in error.why
    assert str(session.project / ".npmrc") in error.why
    assert str(Path(os.environ["HOME"]) / ".npmrc") in error.why
    assert f"npm login --registry={peer.url}" in error.next_step


def test_a_wrong_token_names_its_line_without_its_value(session: Session, peer: Registry) -> None:
    peer.token = "right"
    _write(session, f"registry={peer.url}", f"{_near(peer)}/:_authToken={SECRET}")
    error = _error(session, RegistryError)
    line = f"{_near(peer)}/:_authToken in {session.project / '.npmrc'}"
    assert error.why == f"It did not accept the line {line}."
    assert len(peer.requests) == 1


def test_a_token_from_a_variable_that_is_not_set_is_not_sent_and_named(
    session: Session, peer: Registry
) -> None:
    peer.token = SECRET
    _write(session, f"registry={peer.url}", _near(peer) + "/:_authToken=${NPM_TOKEN}")
    error = _error(session, RegistryError)
    assert "uses ${NPM_TOKEN}, which is not set" in error.why
    assert peer.requests[0].authorization is None


def test_a_token_without_a_registry_before_it_is_named(session: Session, peer: Registry) -> None:
    peer.token = SECRET
    _write(session, f"registry={peer.url}", f"_authToken={SECRET}")
    assert "names no registry" in _error(session, RegistryError).why


def test_a_proxys_page_is_not_taken_for_a_missing_login(session: Session, peer: Registry) -> None:
    peer.script(META, Answer(403, BLOCK_PAGE, HTML))
    error = _error(session, RegistryError)
    assert "403 with a web page" in error.what
    assert ":_authToken" not in str(error)


def test_an_unknown_version_names_package_and_registry(session: Session, peer: Registry) -> None:
    with pytest.raises(RegistryError) as caught:
        _get(session, version="0.0.1")
    assert peer.origin.removeprefix("http://") in caught.value.what
    assert "has no version 0.0.1 of pyodide" in caught.value.what


def test_an_unknown_package_names_package_and_registry(session: Session, peer: Registry) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:\d+ has no nothing@1\.0\.0 \(404\)"):
        _get(session, "nothing", "1.0.0")
    assert len(peer.requests) == 2


def test_a_registry_out_of_order_is_reported_with_its_status(
    session: Session, peer: Registry
) -> None:
    peer.script(META, Answer(500))
    assert "answered 500" in _error(session, RegistryError).what


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (BLOCK_PAGE, "It sent a web page where JSON"),
        (b"\xff\xfe", "It sent something where JSON"),
        (b"[]", "cannot be used. It does not describe"),
        (b'{"version": "9.9.9"}', "cannot be used. It does not describe"),
        (f'{{"version": "{VERSION}"}}'.encode(), "It names no tarball"),
        (f'{{"version": "{VERSION}", "dist": {{"tarball": 1}}}}'.encode(), "It names no tarball"),
    ],
)
def test_odd_metadata_is_refused(session: Session, peer: Registry, body: bytes, told: str) -> None:
    peer.script(META, Answer(200, body))
    assert told in str(_error(session, RegistryError))


def test_a_list_without_versions_is_refused(session: Session, peer: Registry) -> None:
    peer.packument_only = True
    peer.script("/pyodide", Answer(200, b'{"versions": []}'))
    assert "It lists no versions" in _error(session, RegistryError).why


def test_a_sha1_alone_is_refused_before_anything_is_downloaded(
    session: Session, peer: Registry
) -> None:
    peer.shasum_only = True
    error = _error(session, IntegrityError)
    assert "SHA-1 alone can be forged" in error.why
    assert peer.paths() == [META]


@pytest.mark.parametrize("sri", ["sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha512-short", "junk", ""])
def test_a_weak_or_broken_hash_is_refused(session: Session, peer: Registry, sri: str) -> None:
    dist = {"tarball": peer.origin + FILE, "integrity": sri}
    peer.script(META, Answer(200, json.dumps({"version": VERSION, "dist": dist}).encode()))
    assert "no usable hash" in _error(session, IntegrityError).what
    assert peer.paths() == [META]


def test_other_bytes_are_refused(session: Session, peer: Registry) -> None:
    peer.wrong_bytes = True
    assert "Expected sha512-" in _error(session, IntegrityError).why


def test_a_page_in_place_of_the_tarball_is_a_network_error(
    session: Session, peer: Registry
) -> None:
    peer.script(FILE, Answer(200, BLOCK_PAGE, HTML))
    assert "A web page came from" in _error(session, NetworkError).what


def test_a_tarball_that_the_registry_lost_is_reported(session: Session, peer: Registry) -> None:
    peer.script(FILE, Answer(404))
    assert "has no pyodide@" in _error(session, RegistryError).what


def test_a_broken_transfer_is_made_good(session: Session, peer: Registry) -> None:
    data = peer.add("pyodide", VERSION)
    peer.script(FILE, Answer(200, data, cut=10), Answer(503), Answer(200, data))
    assert _get(session).path.read_bytes() == data


def test_metadata_that_names_another_origin_is_served_from_the_registrys_own(
    session: Session, peer: Registry
) -> None:
    with Registry() as elsewhere:
        elsewhere.script(FILE, Answer(200, peer.add("pyodide", VERSION)))
        peer.tarball_host = elsewhere.origin
        assert _get(session).provenance["url"] == peer.origin + FILE
        assert peer.paths() == [META, FILE]
        assert elsewhere.requests == []


def test_the_registrys_own_path_is_tried_before_the_bare_one(session: Session) -> None:
    with Registry(path="/repository/npm/") as peer:
        peer.add("pyodide", VERSION)
        peer.tarball_host = "https://registry.invalid"
        _write(session, f"registry={peer.url}")
        assert _get(session).provenance["url"] == peer.origin + "/repository/npm" + FILE
        assert peer.paths() == ["/repository/npm" + META, "/repository/npm" + FILE]


def test_the_named_origin_is_the_last_resort_and_gets_no_login(
    session: Session, peer: Registry
) -> None:
    with Registry() as elsewhere:
        data = peer.add("pyodide", VERSION)
        elsewhere.script(FILE, Answer(200, data))
        peer.tarball_host = elsewhere.origin
        peer.token = SECRET
        peer.script(FILE, Answer(404))
        _write(session, f"registry={peer.url}", f"{_near(peer)}/:_authToken={SECRET}")
        assert _get(session).provenance["url"] == elsewhere.origin + FILE
        assert elsewhere.requests[0].authorization is None
        assert peer.requests[-1].authorization == f"Bearer {SECRET}"


def test_all_places_that_failed_are_named(session: Session, peer: Registry) -> None:
    peer.tarball_host = "http://registry.invalid"
    peer.script(FILE, Answer(404))
    error = _error(session, RegistryError)
    assert f"{peer.origin}{FILE}: 404." in error.why
    assert "registry.invalid:80 is not found" in error.why


def test_npms_cafile_is_trusted(session: Session, tmp_path: Path) -> None:
    from tests.peers.authority import Authority

    authority = Authority(tmp_path / "ca")
    with Registry(tls=authority.server()) as peer:
        data = peer.add("pyodide", VERSION)
        _write(session, f"registry={peer.url}")
        assert "is not trusted" in _error(session, NetworkError).what
        _write(session, f"registry={peer.url}", f"cafile={authority.ca}")
        assert _get(session).path.read_bytes() == data


def test_strict_ssl_in_an_npmrc_is_not_followed_and_said_once(
    session: Session, tmp_path: Path, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyodide_offline.network import trust
    from tests.peers.authority import Authority

    monkeypatch.setattr(trust, "_noted", set())
    with Registry(tls=Authority(tmp_path / "ca").server()) as peer:
        peer.add("pyodide", VERSION)
        _write(session, f"registry={peer.url}", "strict-ssl=false")
        for _ in range(2):
            assert "is not trusted" in _error(session, NetworkError).what
    assert sum("strict-ssl in " in note for note in progress.notes) == 1


def test_no_registry_is_written_in_the_package() -> None:
    import pyodide_offline

    root = Path(pyodide_offline.__file__).parent
    public = {"cloudflare-dns.com", "dns.google", "dns.quad9.net"}  # resolvers, no registries
    for name in ("distribution", "network"):
        for file in (root / name).rglob("*.py"):
            hosts = set(re.findall(r"https?://([\w-]+\.[\w.-]+)", file.read_text()))
            assert hosts <= {"your.registry", "dns.example"} | public, file


def test_what_a_lock_names_is_fetched_by_its_digest_alone(session, peer):
    data = peer.add("pyodide", VERSION)
    config = npmrc.load(session.environ, session.project, None)
    expected = digest.of_bytes(data, "sha512")

    def get(wanted: digest.Digest) -> Entry:
        return npm.locked(
            session, "pyodide", VERSION, wanted, lambda: peer.url + FILE[1:], lambda: config
        )

    assert get(expected).path.read_bytes() == data
    assert peer.paths() == [FILE], "no metadata was asked for"
    assert get(expected).path.read_bytes() == data
    assert peer.paths() == [FILE], "and nothing twice"
    with pytest.raises(IntegrityError):
        get(digest.of_bytes(b"other", "sha512"))
    assert get(expected).path.read_bytes() == data
