"""What a project's locks say of addresses: archives of the kit by their digests."""

import json

import pytest

from pyodide_offline.features.kit import addresses
from tests.unit.features.kit.shelves import item

TARBALL = item("npm", "@s/one", "1.0.0", "one-1.0.0.tgz", b"one")
WHEEL = item("wheel", "two", "1.0", "two-1.0-py3-none-any.whl", b"two")
UV = f"""\
version = 1
[[package]]
name = "two"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [
    {{ url = "https://files.example/x/two-1.0-py3-none-any.whl", hash = "sha256:{WHEEL.sha256}" }},
    {{ url = "https://files.example/y/two-1.0-cp311-none-any.whl", hash = "sha256:{"0" * 64}" }},
]
"""


def npm(integrity: str | None) -> str:
    entry = {"version": "1.0.0", "resolved": "https://npm.example/7", "integrity": integrity}
    return json.dumps({"lockfileVersion": 3, "packages": {"node_modules/@s/one": entry}})


def test_locks_above_the_project_count_too(tmp_path):
    project = tmp_path / "packages" / "worker"
    project.mkdir(parents=True)
    (tmp_path / "package-lock.json").write_text(npm(TARBALL.upstream))
    (project / "uv.lock").write_text(UV)
    assert addresses.of(project, [TARBALL, WHEEL]) == {
        "https://npm.example/7": TARBALL,
        "https://files.example/x/two-1.0-py3-none-any.whl": WHEEL,
    }


def test_an_address_without_a_digest_of_the_kits_says_nothing(tmp_path):
    for integrity in (None, WHEEL.upstream):
        (tmp_path / "package-lock.json").write_text(npm(integrity))
        assert addresses.of(tmp_path, [TARBALL]) == {}


@pytest.mark.parametrize("content", [b"", b"\xff", b"[[", b'{"packages": 7}'])
def test_a_damaged_lock_is_its_programs_affair(tmp_path, content):
    for name in ("package-lock.json", "uv.lock", "pylock.toml"):
        (tmp_path / name).write_bytes(content)
    assert addresses.of(tmp_path, [TARBALL, WHEEL]) == {}
