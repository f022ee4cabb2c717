"""Upstreams: named, or of the user's settings; what may be asked besides."""

from ipaddress import ip_address

import pytest

from pyodide_offline.errors import RegistryError, SettingsError
from pyodide_offline.features.mirror import origins

NAMED = {"npm": "https://user:pass@npm.example/x", "pypi": "https://py.example/simple"}


def test_named_ones(session):
    found = origins.read(session, NAMED)
    assert found.registry("@s/a").url == "https://npm.example/x/"
    assert found.registry("a").headers == {"Authorization": "Basic dXNlcjpwYXNz"}
    assert "pass" not in repr(found)
    assert found.of("pypi").url == "https://py.example/simple/"
    assert found.of("bundles").url.startswith("https://")


def test_those_of_npm_and_pip(session, monkeypatch, tmp_path):
    (session.project / ".npmrc").write_text(
        "registry=https://npm.example/\n@s:registry=https://s.example/\n//s.example/:_authToken=t\n"
    )
    monkeypatch.setenv("PIP_INDEX_URL", "https://py.example/simple")
    found = origins.read(session, {})
    assert found.registry("a").url == "https://npm.example/"
    assert found.registry("@s/a").url == "https://s.example/"
    assert found.registry("@s/a").headers == {"Authorization": "Bearer t"}
    assert found.of("pypi").url == "https://py.example/simple/"
    for url in ("https://npm.example/a", "https://s.example/a", "https://py.example/simple/a/"):
        assert found.permit(url) == ""


def test_what_may_not_be_asked(session):
    found = origins.read(session, NAMED, ["203.0.113.5", "files.example"])
    for url in (
        "http://npm.example/a",
        "https://other.example/",
        "file:///etc/passwd",
        "https://127.0.0.1/",
        "https://npm.example:8443/",
        "https://10.0.0.1/",
    ):
        assert found.permit(url), url
    assert found.permit("https://npm.example/a") == ""


@pytest.fixture
def lookup(monkeypatch):
    """What names lead to; others lead nowhere, as behind a proxy."""
    known: dict[str, str] = {}

    def addresses(door):
        return [ip_address(known[door.host])] if door.host in known else []

    monkeypatch.setattr(origins, "_addresses", addresses)
    return known


INDEX = "https://py.example/simple/"


def test_what_an_index_names_by_https_may_be_asked(session, lookup):
    found = origins.read(session, NAMED)
    found.vouch("https://files.example/a.whl", INDEX)
    found.vouch("http://plain.example/a.whl", INDEX)
    assert found.permit("https://files.example/b.whl") == ""
    assert found.permit("http://plain.example/a.whl")
    lookup["files.example"] = "8.8.8.8"
    assert found.permit("https://files.example/b.whl") == ""
    found.trusting = False
    found.vouch("https://more.example/", INDEX)
    assert found.permit("https://more.example/")


def test_what_a_public_index_names_must_not_be_private(session, lookup):
    found = origins.read(session, NAMED)
    found.vouch("https://files.example/a.whl", INDEX)
    found.vouch("https://10.0.0.5/a.whl", INDEX)
    lookup |= {"files.example": "10.0.0.5", "py.example": "8.8.8.8"}
    assert "not a public one" in found.permit("https://files.example/a.whl")
    # A company's own index may have its files with a neighbour, but not at a bare address.
    lookup["py.example"] = "10.0.0.4"
    assert found.permit("https://files.example/a.whl") == ""
    assert found.permit("https://10.0.0.5/a.whl")


def test_a_name_that_leads_elsewhere_a_moment_later(session, lookup):
    found = origins.read(session, NAMED)
    found.vouch("https://files.example/a.whl", INDEX)
    lookup |= {"files.example": "8.8.8.8", "py.example": "8.8.8.8"}
    assert found.permit("https://files.example/a.whl") == ""
    assert found.permit_peer("https://files.example:443/", "8.8.4.4") == ""
    for inside in ("127.0.0.1", "10.0.0.5", "::1", "::ffff:10.0.0.5"):
        assert "not a public one" in found.permit_peer("https://files.example:443/", inside)
    assert found.permit_peer("https://npm.example:443/", "10.0.0.5") == ""  # the operator's word


def test_settings_that_are_wrong(session):
    for named in ({"x": "https://a.example/"}, {"npm": "ftp://a/"}, {"npm": "nonsense"}):
        with pytest.raises(SettingsError):
            origins.read(session, named)


def test_an_upstream_that_is_missing(session):
    found = origins.Origins({})
    with pytest.raises(RegistryError, match="no upstream for npm"):
        found.registry("a")
