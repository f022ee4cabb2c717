"""Indexes that are made from archives."""

import json

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.mirror import described
from pyodide_offline.features.mirror.described import Tarball, Wheel


def test_npms_description_has_what_an_install_needs() -> None:
    package = {
        "name": "@s/one",
        "version": "1.0.0",
        "bin": {"one": "x.js"},
        "dependencies": {"two": "^2"},
        "scripts": {"postinstall": "node x"},
    }
    found = json.loads(
        described.packument(
            "@s/one", [Tarball("@s/one", "1.0.0", "one-1.0.0.tgz", "sha512-x", package)], None
        )
    )
    version = found["versions"]["1.0.0"]
    assert found["dist-tags"] == {"latest": "1.0.0"}
    assert version["bin"] == {"one": "x.js"}
    assert version["hasInstallScript"] is True
    assert "scripts" not in version
    assert version["dist"]["integrity"] == "sha512-x"
    assert version["dist"]["tarball"].endswith("/@s/one/-/one-1.0.0.tgz")


def test_a_version_is_added_to_what_an_upstream_said() -> None:
    old = {"name": "a", "dist-tags": {"latest": "3.0.0", "next": "4"}, "versions": {"3.0.0": {}}}
    new = described.packument("a", [Tarball("a", "1.0.0", "a.tgz", "i")], json.dumps(old).encode())
    found = json.loads(new)
    assert set(found["versions"]) == {"1.0.0", "3.0.0"}
    assert found["dist-tags"] == old["dist-tags"]


def test_the_newest_release_is_the_latest() -> None:
    versions = ["2.0.0", "10.0.0", "11.0.0-beta.1", "what"]
    tarballs = [Tarball("a", one, f"a-{one}.tgz", "i") for one in versions]
    assert json.loads(described.packument("a", tarballs, b"no json"))["dist-tags"] == {
        "latest": "10.0.0"
    }


def test_another_digest_of_the_same_version_is_an_error() -> None:
    first = described.packument("a", [Tarball("a", "1.0.0", "a.tgz", "one")], None)
    assert described.packument("a", [Tarball("a", "1.0.0", "a.tgz", "one")], first) == first
    with pytest.raises(IntegrityError, match="another digest"):
        described.packument("a", [Tarball("a", "1.0.0", "a.tgz", "two")], first)


def test_pythons_page_has_digests_and_what_a_resolver_asks_for() -> None:
    metadata = b"Metadata-Version: 2.1\nName: a\nRequires-Python: >=3.12\n\nText"
    wheel = Wheel("a-1-py3-none-any.whl", "0" * 64, 5, metadata, "1" * 64)
    found = json.loads(described.page("a", [wheel], None))
    assert found["files"] == [
        {
            "filename": "a-1-py3-none-any.whl",
            "url": "https://kit.invalid/a/a-1-py3-none-any.whl",
            "hashes": {"sha256": "0" * 64},
            "size": 5,
            "core-metadata": {"sha256": "1" * 64},
            "requires-python": ">=3.12",
        }
    ]


def test_a_file_is_added_to_what_an_upstream_said() -> None:
    files = [{"filename": "a-2.whl", "url": "u", "hashes": {"sha256": "2" * 64}}]
    old = {"meta": {"api-version": "1.1"}, "name": "a", "versions": ["2"], "files": files}
    data = json.dumps(old).encode()
    wheel = Wheel("a-1.whl", "0" * 64, 5)
    found = json.loads(described.page("a", [wheel], data))
    assert [one["filename"] for one in found["files"]] == ["a-2.whl", "a-1.whl"]
    assert found["meta"] == {"api-version": "1.0"}
    assert "versions" not in found
    with pytest.raises(IntegrityError):
        described.page("a", [Wheel("a-2.whl", "0" * 64, 5)], data)
