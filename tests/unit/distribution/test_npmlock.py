"""npm's lock read: which packages an install takes on which machine."""

import json

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.distribution import npmlock
from pyodide_offline.distribution.npmlock import Platform
from pyodide_offline.errors import ProjectError

LINUX = Platform("linux", "x64", "glibc")
MUSL = Platform("linux", "x64", "musl")
ARM = Platform("linux", "arm64", "glibc")
MAC = Platform("darwin", "arm64")
SRI = of_bytes(b"one", "sha512").sri


def lock(**places: object) -> str:
    return json.dumps({"lockfileVersion": 3, "packages": {"": {"name": "me"}, **places}})


def only(entry: dict[str, object], place: str = "node_modules/one") -> npmlock.Package:
    (package,) = npmlock.read(lock(**{place: {"version": "1.0.0", "integrity": SRI, **entry}}))
    return package


def test_names_come_from_places_scopes_and_aliases():
    assert only({}, "node_modules/a/node_modules/@scope/b").name == "@scope/b"
    assert only({"name": "real"}, "node_modules/alias").name == "real"


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({}, [LINUX, MUSL, ARM, MAC]),
        ({"os": ["linux"]}, [LINUX, MUSL, ARM]),
        ({"os": ["linux"], "cpu": ["x64"]}, [LINUX, MUSL]),
        ({"os": ["!darwin"]}, [LINUX, MUSL, ARM]),
        ({"os": ["linux"], "libc": ["glibc"]}, [LINUX, ARM]),
        ({"os": ["linux"], "libc": ["musl"]}, [MUSL]),
        ({"cpu": "arm64"}, [ARM, MAC]),
    ],
)
def test_a_package_goes_where_its_rules_let_it(rules, fits):
    package = only(rules)
    assert [one for one in (LINUX, MUSL, ARM, MAC) if package.fits(one)] == fits


def test_links_and_bundled_packages_are_not_fetched():
    places = {
        "node_modules/linked": {"link": True, "resolved": "packages/linked"},
        "packages/linked": {"version": "1.0.0"},
        "node_modules/inside": {"version": "1.0.0", "inBundle": True},
        "node_modules/one": {"version": "1.0.0", "integrity": SRI},
    }
    assert [one.name for one in npmlock.read(lock(**places))] == ["one"]


def test_one_package_in_two_places_is_one():
    entry = {"version": "1.0.0", "integrity": SRI}
    found = npmlock.read(lock(**{"node_modules/a": entry, "node_modules/b/node_modules/a": entry}))
    assert len(found) == 1


def test_a_package_without_integrity_has_no_digest():
    assert only({"integrity": None}).integrity is None


@pytest.mark.parametrize("text", ["", "[]", '{"lockfileVersion": 1, "dependencies": {}}', "{"])
def test_what_is_no_lock_is_refused(text):
    with pytest.raises(ProjectError, match="cannot be read"):
        npmlock.read(text)
