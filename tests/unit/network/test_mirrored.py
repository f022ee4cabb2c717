"""What a client is told of a mirror: addresses, variables, and where a token may be."""

import os
import stat
from pathlib import Path

import pytest

from pyodide_offline import redact
from pyodide_offline.distribution import npmrc
from pyodide_offline.errors import SettingsError
from pyodide_offline.network import mirrored, proxies
from pyodide_offline.store import Store

OFFICIAL = "https://pyodide-capnp-bin.edgeworker.net/pyodide_0.28.2_2025-09-29_1.capnp.bin"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "a store")


def test_one_address_stands_for_registry_index_and_bundles():
    mirror = mirrored.parse("https://mirror.corp:8443/team/")
    assert mirror.registry == "https://mirror.corp:8443/team/npm/"
    assert mirror.index == "https://mirror.corp:8443/team/simple/"
    assert mirror.bundle(OFFICIAL) == (
        "https://mirror.corp:8443/team/pyodide_0.28.2_2025-09-29_1.capnp.bin"
    )
    assert (mirror.host, mirror.port, mirror.headers) == ("mirror.corp", 8443, {})


@pytest.mark.parametrize(
    ("text", "token", "expected"),
    [
        ("https://mirror", "", ""),
        ("https://mirror", "abc", "abc"),
        ("https://x:in%2Furl@mirror", "abc", "in/url"),
        ("http://127.0.0.1:81", "abc", "abc"),
        ("http://[::1]:81", "abc", "abc"),
        ("http://localhost", "abc", "abc"),
    ],
)
def test_a_token_comes_from_the_variable_or_the_address(text, token, expected):
    mirror = mirrored.parse(text, token)
    assert mirror.token == expected
    assert not expected or expected not in repr(mirror)
    assert "@" not in mirror.url


@pytest.mark.parametrize(
    "text",
    [
        "mirror",
        "ftp://mirror",
        "https://",
        "https://mirror:port",
        "https://mirror?x=s3cret",
        "https://s3cret@mirror",
        "http://x:s3cret@mirror",
        "https://x:s3cret%0d%0aX: y@mirror",
        "https://x:s3cret%20more@mirror",
    ],
)
def test_one_that_cannot_be_used_is_said_without_its_token(text):
    with pytest.raises(SettingsError, match="--mirror") as caught:
        mirrored.parse(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_status == 13


def test_npm_pip_and_uv_ask_the_mirror_and_nobody_beside_it(store):
    before = {
        "PIP_EXTRA_INDEX_URL": "https://other/simple",
        "PIP_FIND_LINKS": "/wheels",
        "UV_INDEX": "https://other/simple",
        "NPM_CONFIG_REGISTRY": "https://other/",
        "PIP_CERT": "/ca.pem",
        "A": "b",
    }
    found = mirrored.environment(store, before, mirrored.parse("https://mirror"))
    assert "other" not in "".join(found.values())
    assert found["npm_config_registry"] == "https://mirror/npm/"
    assert found["PIP_INDEX_URL"] == found["UV_DEFAULT_INDEX"] == "https://mirror/simple/"
    assert found["PIP_CONFIG_FILE"] == os.devnull
    assert "PIP_FIND_LINKS" not in found
    assert (found["PIP_CERT"], found["A"]) == ("/ca.pem", "b")
    assert "PIP_TRUSTED_HOST" not in found
    assert not store.root.exists()


def test_a_mirror_is_reached_directly_whatever_proxy_is_named(store):
    before = {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "corp"}
    found = mirrored.environment(store, before, mirrored.parse("https://[fd00::1]:8443"))
    assert proxies.for_target(found, "https", "fd00::1", 8443) == []
    assert proxies.for_target(found, "https", "other", 443) != []
    assert found["no_proxy"] == found["NO_PROXY"] == "corp,fd00::1,[fd00::1]"


def test_pip_takes_plain_http_from_the_host_that_was_named_so(store):
    found = mirrored.environment(store, {}, mirrored.parse("http://mirror.corp:81"))
    assert found["PIP_TRUSTED_HOST"] == "mirror.corp"


def test_inside_it_is_named_again(store):
    mirror = mirrored.parse("https://mirror/", "s3cret")
    found = mirrored.environment(store, {}, mirror)
    assert mirrored.named(found) == mirror
    assert mirrored.named({}) is None
    again = mirrored.environment(store, found, mirror)
    assert again["npm_config_globalconfig"] == found["npm_config_globalconfig"]


def test_npm_gets_its_token_by_a_file_that_does_not_hold_it(store, tmp_path):
    theirs = tmp_path / "etc" / "npmrc"
    theirs.parent.mkdir()
    theirs.write_text("@corp:registry=https://corp/npm/\n")
    before = {"HOME": str(tmp_path), "npm_config_prefix": str(tmp_path)}
    mirror = mirrored.parse("https://mirror:8443/team", "s3cret")
    found = mirrored.environment(store, before, mirror)
    made = Path(found["npm_config_globalconfig"])
    assert made.is_relative_to(store.root)
    assert "s3cret" not in made.read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    config = npmrc.load(found, tmp_path, None)
    login = config.login(config.registry("pyodide"))
    assert login is not None
    assert login.authorization == "Bearer s3cret"
    # What the machine's own file says still holds.
    assert config.registry("@corp/x") == "https://corp/npm/"


def test_variables_that_hold_the_token_are_told_as_such(store):
    found = mirrored.environment(store, {}, mirrored.parse("https://mirror", "s3cret/x"))
    assert found["PIP_INDEX_URL"] == "https://me:s3cret%2Fx@mirror/simple/"
    assert "s3cret" not in redact.text(found["PIP_INDEX_URL"])
    with_it = {name for name, value in found.items() if "s3cret" in value}
    assert with_it == {"PIP_INDEX_URL", "UV_DEFAULT_INDEX", mirrored.TOKEN_VARIABLE}


@pytest.mark.parametrize(("token", "why"), [("", "gets no token"), ("x", "does not take")])
def test_a_refusal_says_whether_there_was_a_token(token, why):
    error = mirrored.refused(mirrored.parse("https://mirror", token), 401)
    assert why in error.why
    assert mirrored.TOKEN_VARIABLE in error.next_step


@pytest.mark.parametrize("place", [".npmrc", "theirs"])
def test_npm_asks_it_for_what_other_registries_made_locks_for_unless_a_scope_has_its_own(
    store, tmp_path, place
):
    mirror = mirrored.parse("https://mirror")
    before = {"npm_config_userconfig": str(tmp_path / "theirs")}
    found = mirrored.environment(store, before, mirror, tmp_path)
    assert found["npm_config_replace_registry_host"] == "always"
    (tmp_path / place).write_text("@corp:registry=https://corp/npm/\n")
    found = mirrored.environment(store, before, mirror, tmp_path)
    assert "npm_config_replace_registry_host" not in found


def test_what_the_user_says_of_hosts_of_locks_stays(store, tmp_path):
    before = {"npm_config_replace_registry_host": "never"}
    found = mirrored.environment(store, before, mirrored.parse("https://mirror"), tmp_path)
    assert found["npm_config_replace_registry_host"] == "never"


def test_what_to_do_next_names_the_mirror_where_there_is_one():
    assert mirrored.advice({}, "npm config get registry") == "npm config get registry"
    found = mirrored.advice({"PYODIDE_OFFLINE_MIRROR": "https://mirror"}, "npm config get registry")
    assert found.endswith("pyodide-offline doctor --mirror https://mirror")
