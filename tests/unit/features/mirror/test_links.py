"""Links that nginx reads: made for verified files, gone with them."""

import asyncio
import os

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror import links
from pyodide_offline.features.mirror import tokens as book
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.guard import Rules
from pyodide_offline.features.mirror.links import LIFETIME_S, Links
from pyodide_offline.features.mirror.wanted import Held
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Registry

PATH = "/npm/left-pad/-/left-pad-1.0.0.tgz"


class Place:
    """A cache, links beside it, and a clock that is set by hand."""

    def __init__(self, folder, depot, most=10):
        self.now = 0.0
        self.cache = DiskCache(folder / "cache", depot)
        self.root = folder / "root"
        self.links = Links(self.root, self.cache.known, most=most, clock=lambda: self.now)

    async def held(self, body):
        with self.cache.unfinished() as temporary:
            temporary.write_bytes(body)
            digest = digests.of_bytes(body)
            path = await self.cache.admit(digest, temporary)
        return Held(path, digest, len(body), "application/x", digest.sri)

    def shown(self):
        return sorted(one.name for one in self.root.rglob("*") if one.is_symlink())


@pytest.fixture
def depot(tmp_path):
    return FolderDepot(tmp_path / "depot")


@pytest.fixture
def place(tmp_path, depot):
    return Place(tmp_path, depot)


def test_a_link_has_the_files_bytes_wherever_both_are_moved(place, tmp_path):
    async def scene():
        with place.links.watched():
            place.links.add(PATH, await place.held(b"body"))
            assert (place.root / PATH[1:]).read_bytes() == b"body"
            assert not (place.root / PATH[1:]).readlink().is_absolute()
        assert place.shown() == []
        assert list(place.root.iterdir()) == []

    played(scene)


def test_nothing_is_linked_while_nobody_looks(place):
    async def scene():
        held = await place.held(b"body")
        place.links.add(PATH, held)
        assert place.shown() == []
        with place.links.watched():
            pass
        place.links.add(PATH, held)
        assert place.shown() == []

    played(scene)


def _written(path):
    path.chmod(0o644)
    path.write_bytes(b"BODY")


def _replaced(path):
    other = path.with_suffix(".other")
    other.write_bytes(b"body")
    other.replace(path)


@pytest.mark.parametrize("change", [_written, _replaced, os.unlink])
def test_a_changed_file_loses_its_link_and_the_others_stay(place, change):
    async def scene():
        with place.links.watched():
            one, two = await place.held(b"body"), await place.held(b"other")
            place.links.add(PATH, one)
            place.links.add("/sha256/x", two)
            await place.links.check()
            assert len(place.links) == 2
            change(one.path)
            await place.links.check()
            assert place.shown() == ["x"]
            assert not (place.root / "npm").exists()

    played(scene)


def test_a_change_is_found_with_nobody_asking(place, monkeypatch):
    monkeypatch.setattr(links, "EACH_S", 0.01)

    async def scene():
        with place.links.watched():
            held = await place.held(b"body")
            place.links.add(PATH, held)
            _written(held.path)
            while len(place.links):
                await asyncio.sleep(0.01)
            assert place.shown() == []

    played(scene)


def test_a_link_lives_for_a_while_from_the_last_time_it_was_asked_for(place):
    async def scene():
        with place.links.watched():
            held = await place.held(b"body")
            place.links.add(PATH, held)
            place.now = LIFETIME_S - 1
            place.links.add(PATH, held)
            place.now = LIFETIME_S + 1
            await place.links.check()
            assert len(place.links) == 1
            place.now = 2 * LIFETIME_S
            await place.links.check()
            assert place.shown() == []

    played(scene)


def test_a_path_that_stands_for_another_file(place):
    async def scene():
        with place.links.watched():
            place.links.add(PATH, await place.held(b"old"))
            place.links.add(PATH, await place.held(b"new"))
            assert (place.root / PATH[1:]).read_bytes() == b"new"

    played(scene)


def test_the_oldest_go_where_there_are_too_many(tmp_path, depot):
    async def scene():
        place = Place(tmp_path, depot, most=2)
        with place.links.watched():
            held = await place.held(b"body")
            for name in ("a", "b", "c"):
                place.links.add(f"/sha256/{name}", held)
            assert place.shown() == ["b", "c"]

    played(scene)


@pytest.mark.parametrize(
    "path",
    ["/", "", "//x", "/a/../../x", "/./x", "/x/", "/a\0b", "/" + "x" * 256, "/é", "/../x"],
)
def test_what_is_no_place_in_the_folder(place, path, tmp_path):
    async def scene():
        held = await place.held(b"body")
        before = sorted(tmp_path.rglob("*"))
        with place.links.watched():
            place.links.add(path, held)
            assert sorted(tmp_path.rglob("*")) == before

    played(scene)


def test_a_file_where_a_folder_should_be_is_no_error(place):
    async def scene():
        with place.links.watched():
            held = await place.held(b"body")
            place.links.add("/sha256/x", held)
            place.links.add("/sha256/x/y", held)
            assert place.shown() == ["x"]

    played(scene)


def test_links_of_a_killed_front_are_removed_and_nothing_else(place, tmp_path, depot):
    left, other, own = (place.root / name for name in ("npm/x.tgz", "npm/y", "note"))
    left.parent.mkdir()
    left.symlink_to("../../blobs/sha256/ab/abcd")
    other.symlink_to("/etc/hostname")
    own.write_text("mine")
    Place(tmp_path, depot)
    assert place.shown() == ["y"]
    assert own.read_text() == "mine"


@pytest.mark.parametrize("tokens", [False, True])
def test_a_front_that_wants_tokens_links_elsewhere(session, tmp_path, tokens):
    file = tmp_path / "tokens"
    secret = book.add(file, "ci", "read")
    rules = Rules(tokens=book.Watched(file) if tokens else None)
    headers = {"authorization": f"Bearer {secret}"}

    async def scene():
        with Registry() as registry:
            tarball = registry.add("left-pad", "1.0.0")
            async with front(
                session,
                tmp_path,
                upstreams={"npm": registry.url},
                links=tmp_path / "root",
                rules=rules,
            ) as made:
                for _ in range(2):
                    got = await ask(made.app, PATH, headers=headers)
                    assert got.body == tarball
                    await made.pull.idle()
                found = list((tmp_path / "root").rglob("*.tgz"))
                kind = "tokens" if tokens else "open"
                assert found == [tmp_path / "root" / kind / PATH[1:]]
                assert found[0].read_bytes() == tarball
            assert not list((tmp_path / "root").rglob("*.tgz"))

    played(scene)
