"""The store filled from a kit: by the same code as ever, told of no registry but the kit's."""

import hashlib
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, StorageError, UnsupportedError
from pyodide_offline.features.kit import filling
from pyodide_offline.kits.manifest import Item
from pyodide_offline.network import authorities, cafile
from pyodide_offline.workers import supply
from pyodide_offline.workers.toolchain import chain, sync, wrangler
from tests.unit.features.kit.test_pack import TOOLS, WORKER


def item(kind: str, name: str, version: str, data: bytes = b"data") -> Item:
    return Item(kind, name, version, "file", len(data), hashlib.sha256(data).hexdigest())


def contents(items, places=None) -> filling.Contents:
    return filling.Contents(tuple(items), places or {})


@pytest.fixture
def asked(monkeypatch):
    """What the toolchain, the bundle and the sync were asked for."""
    seen: dict[str, object] = {}

    def get(_, *, pywrangler, version):
        seen.update(pywrangler=pywrangler, version=version)
        return TOOLS

    def supplying(*_, policy, npm):
        seen.update(policy=policy)

    def prepare(_, __, series, *, reachable):
        seen.update(series=series, reachable=reachable())

    monkeypatch.setattr(chain, "get", get)
    monkeypatch.setattr(supply, "supply", supplying)
    monkeypatch.setattr(supply, "dated_series", lambda *_: "3.14")
    monkeypatch.setattr(sync, "prepare", prepare)
    return seen


def test_a_worker_gets_all_of_it_and_nobody_outside_is_asked(session, asked):
    (session.project / "wrangler.toml").write_text(WORKER)
    (session.project / "pyproject.toml").write_text("[project]\n")
    assert (
        filling.fill(session, contents([item("npm", "wrangler", wrangler.DEFAULT_VERSION)])) is None
    )
    assert asked == {
        "pywrangler": True,
        "version": None,
        "policy": "npm",
        "series": "3.14",
        "reachable": False,
    }


def test_a_kit_of_folders_only_says_so_before_anything_is_asked(session, asked):
    with pytest.raises(UnsupportedError, match="holds site") as error:
        filling.fill(session, contents([item("tree", "site", "")]))
    assert "kit browser" in error.value.next_step
    assert asked == {}


def test_the_locks_wrangler_is_brought_where_it_is_another(session, asked):
    (session.project / "wrangler.toml").write_text(WORKER)
    items = [item("npm", "wrangler", "4.1.0")]
    assert filling.fill(session, contents(items)) == asked["version"] == "4.1.0"
    (session.project / "node_modules" / "wrangler").mkdir(parents=True)
    assert filling.fill(session, contents(items)) is None


def test_an_official_bundle_is_placed_under_its_digest(session, asked, tmp_path):
    (session.project / "wrangler.toml").write_text(WORKER)
    place = tmp_path / "blob"
    place.write_bytes(b"data")
    one = item("bundle", "314.0.6_1", "314.0.6")
    filling.fill(session, contents([one], {one.sha256: place}))
    entry = session.store.find(supply.KIND, "314.0.6_1")
    assert entry is not None
    assert entry.path.read_bytes() == b"data"
    assert asked["policy"] == "auto"


def test_a_blob_that_changed_since_is_not_taken(session, asked, tmp_path):
    place = tmp_path / "blob"
    place.write_bytes(b"other")
    one = item("bundle", "314.0.6_1", "314.0.6")
    with pytest.raises(IntegrityError):
        filling.fill(session, contents([one], {one.sha256: place}))
    assert session.store.entries() == []


def test_without_an_unpacked_kit_the_way_is_named(session):
    with pytest.raises(StorageError) as caught:
        filling.unpacked(session)
    assert "kit unpack" in caught.value.next_step


def test_the_session_inside_knows_no_proxy_but_the_kit(session):
    with filling.serving(session, contents([])) as served:
        found = filling.session_for(session, served)
    assert found.environ["HTTPS_PROXY"] == served.origin
    assert (found.proxies, found.pac, found.offline) == ((), "", False)
    # All programs trust the kit's authority, and the system's.
    (file,) = {found.environ[name] for name in cafile.VARIABLES}
    trusted = authorities.read(Path(file).read_bytes()).certificates
    (ours,) = authorities.read(served.trusted.read_bytes()).certificates
    assert ours in trusted
    assert len(trusted) > 1
    assert b"PRIVATE" not in Path(file).read_bytes()
