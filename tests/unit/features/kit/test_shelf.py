"""A kit's archives by what is asked for, whoever's address it is asked under."""

import json
import re

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.features.kit.shelf import Page, Shelf
from pyodide_offline.kits.manifest import Item
from tests.unit.features.kit import shelves

HTML = "application/vnd.pypi.simple.v1+json, text/html; q=0.01"


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return shelves.shelf(tmp_path)


def document(found: object) -> dict[str, object]:
    assert isinstance(found, Page)
    assert found.kind == "application/json"
    read: dict[str, object] = json.loads(found.text)
    return read


@pytest.mark.parametrize(
    "registry",
    ["https://npm.example", "http://127.0.0.1:8", "https://host.example:8443/a/npm%20of%20us"],
    ids=["at the root", "plain", "below a path"],
)
def test_npm_finds_versions_and_tarballs_with_the_locks_digest(shelf, registry):
    package = document(shelf.find(f"{registry}/@s%2fone"))
    assert package["dist-tags"] == {"latest": "1.10.0"}
    version = package["versions"]["1.9.0"]  # type: ignore[index]
    assert version["bin"] == {"one": "one.js"}
    assert version["dist"]["tarball"].startswith(registry.replace("%20", " "))
    tarball = shelf.find(version["dist"]["tarball"])
    assert isinstance(tarball, Item)
    data = shelf.path(tarball).read_bytes()
    assert of_bytes(data, "sha512").sri == version["dist"]["integrity"]
    assert document(shelf.find(f"{registry}/@s%2fone/1.9.0")) == version


@pytest.mark.parametrize(
    "path", ["simple/some-thing/", "root/pypi/+simple/Some_Thing", "x/some.thing/"]
)
def test_an_index_has_the_wheel_with_its_digest_and_its_makers_address(shelf, path):
    page = shelf.find(f"https://index.example/{path}", HTML)
    assert isinstance(page, Page)
    (link,) = re.findall(r'href="([^"]*)"', page.text)
    assert link.startswith(f"{shelves.ODD_WHEEL}#sha256=")
    wheel = shelf.find(link)
    assert isinstance(wheel, Item)
    assert wheel.sha256 == link.rpartition("=")[2]


def test_a_lock_tells_what_an_address_means(shelf):
    for url in (
        shelves.ODD_TARBALL,
        f"{shelves.ODD_TARBALL}?token=x",
        "https://me:pw@npm.example:443/download/42",
    ):
        found = shelf.find(url)
        assert isinstance(found, Item)
        assert (found.name, found.version) == ("@s/one", "1.9.0")
    assert shelf.find("https://other.example/download/42") is None


@pytest.mark.parametrize(
    "path",
    ["/two", "/@s%2fone/3.0.0", "/@s/one/-/one-3.0.0.tgz", "/simple/two/", "/", "", "/-/",
     "/-/pypi/files/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "/simple/", "/@s"],
)  # fmt: skip
@pytest.mark.parametrize("accept", ["application/json", HTML], ids=["npm", "pip"])
def test_what_is_not_in_the_kit_is_not_found(shelf, path, accept):
    assert shelf.find(f"https://host.example{path}", accept) is None


def test_what_was_not_unpacked_is_not_found(shelf):
    missing = shelves.item("npm", "two", "1.0.0", "two-1.0.0.tgz", b"two")
    bare = Shelf([missing], {}, {"https://x.example/two": missing})
    assert bare.find("https://x.example/two") is None
