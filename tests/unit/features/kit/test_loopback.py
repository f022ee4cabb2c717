"""A kit's archives as a registry and an index: asked by pip, and as npm asks."""

import contextlib
import hashlib
import http.client
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.features.kit import loopback
from pyodide_offline.features.kit.loopback import Shelf
from pyodide_offline.kits.manifest import Item
from tests.peers import wheels
from tests.peers.registry import pack


def item(kind: str, name: str, version: str, file: str, data: bytes) -> Item:
    digest = hashlib.sha256(data).hexdigest()
    upstream = of_bytes(data, "sha512").sri
    return Item(kind, name, version, file, len(data), digest, upstream)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    found = []
    for version in ("1.9.0", "1.10.0"):
        manifest = {"name": "@s/one", "version": version, "bin": {"one": "one.js"}}
        data = pack({"package/package.json": json.dumps(manifest).encode()})
        found.append((item("npm", "@s/one", version, f"one-{version}.tgz", data), data))
    wheel = wheels.wheel(tmp_path / "wheels", "some-thing").read_bytes()
    file = "some_thing-1.0-py3-none-any.whl"
    found.append((item("wheel", "some-thing", "1.0", file, wheel), wheel))
    places = {}
    for one, data in found:
        places[one.sha256] = tmp_path / one.sha256
        places[one.sha256].write_bytes(data)
    return Shelf([one for one, _ in found], places)


@pytest.fixture
def origin(shelf: Shelf) -> Iterator[str]:
    with loopback.serving(shelf) as address:
        yield address


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - http, of our own
        data: bytes = answer.read()
        return data


def document(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(url))
    return found


def test_npm_finds_versions_and_tarballs_with_the_locks_digest(origin):
    package = document(f"{origin}/@s%2fone")
    assert package["dist-tags"] == {"latest": "1.10.0"}
    version = package["versions"]["1.9.0"]
    assert version["bin"] == {"one": "one.js"}
    data = get(version["dist"]["tarball"])
    assert of_bytes(data, "sha512").sri == version["dist"]["integrity"]
    assert document(f"{origin}/@s%2fone/1.9.0") == version


def test_pip_installs_from_it_and_asks_nobody_else(origin, tmp_path):
    environ = loopback.environment({"PIP_EXTRA_INDEX_URL": "http://192.0.2.1/"}, origin)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path / "site"]
    subprocess.run([*command, "some-thing"], env=environ, check=True, timeout=60)
    assert (tmp_path / "site" / "some_thing.py").is_file()


@pytest.mark.parametrize(
    "path",
    ["/two", "/@s%2fone/3.0.0", "/@s/one/-/one-3.0.0.tgz", "/-/pypi/simple/two/", "/",
     "/-/pypi/files/..%2f..%2fetc%2fpasswd", "/../../etc/passwd"],
)  # fmt: skip
def test_what_is_not_in_the_kit_is_not_found(origin, path):
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path)
        assert connection.getresponse().status == 404


def test_it_listens_on_loopback_only(origin):
    assert origin.startswith("http://127.0.0.1:")


def test_the_users_proxies_and_indexes_are_left_out_and_the_rest_stays():
    given = {
        "HTTPS_PROXY": "http://user:secret@proxy.example",
        "npm_config_https_proxy": "http://user:secret@proxy.example",
        "NPM_CONFIG_REGISTRY": "https://token@registry.example",
        "UV_INDEX": "https://user:secret@index.example",
        "PIP_INDEX_URL": "https://user:secret@index.example",
        "LANG": "C",
    }
    found = loopback.environment(given, "http://127.0.0.1:1")
    assert not [value for value in found.values() if "secret" in value or "token" in value]
    assert found["LANG"] == "C"
    assert found["npm_config_registry"] == "http://127.0.0.1:1/"
