"""A kit for another platform, packed here: read, and held against its locks one by one.

Nothing of the product judges here: npm's and uv's own locks say what must be in the kit, and
the programs in it say what machine they are for.
"""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import copy_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AARCH64 = 183  # e_machine of ELF (System V ABI, "ELF Header")


@dataclass(frozen=True)
class Kit:
    """A kit that was packed, and the locks that npm and uv wrote for it meanwhile."""

    path: Path
    locks: tuple[str, ...]

    def content(self, sha256: str) -> bytes:
        with tarfile.open(self.path) as tar:
            file = tar.extractfile(f"blobs/sha256/{sha256}")
            assert file is not None
            return file.read()

    @property
    def items(self) -> list[dict[str, Any]]:
        with tarfile.open(self.path) as tar:
            file = tar.extractfile("manifest.json")
            assert file is not None
            found: list[dict[str, Any]] = json.load(file)["items"]
            return found


@pytest.fixture(scope="module")
def kit(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("another platform")
    project = copy_example("starlette", folder / "a project")
    words = ["kit", "pack", str(project), "-o", str(folder / "arm.kit"), "--pin-now"]
    begun = time.time_ns() - 2_000_000_000  # a disk may round the time of a file
    done = subprocess.run(
        [PROGRAM, *words, "--target", "linux-arm64"],
        env=machine.env,
        capture_output=True,
        encoding="utf-8",
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    memos = machine.home / ".cache" / "pyodide-offline" / "v1" / "memos" / "kit-pin"
    new = [path for path in sorted(memos.iterdir()) if path.stat().st_mtime_ns >= begun]
    return Kit(folder / "arm.kit", tuple(json.loads(path.read_text()) for path in new))


def _npm(lock: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and integrity of what npm would install on linux-arm64 (glibc)."""
    for place, entry in json.loads(lock)["packages"].items():
        fits = all(
            key not in entry or value in entry[key]
            for key, value in (("os", "linux"), ("cpu", "arm64"), ("libc", "glibc"))
        )
        if place and fits:
            yield place.rpartition("node_modules/")[2], entry["version"], entry["integrity"]


def test_every_package_of_npms_locks_is_in_it_with_the_locks_own_digest(kit: Kit) -> None:
    items = {(one["name"], one["version"]): one for one in kit.items if one["kind"] == "npm"}
    wanted = {one for lock in kit.locks if lock.startswith("{") for one in _npm(lock)}
    assert {name for name, _, _ in wanted} >= {
        "wrangler",
        "pyodide",
        "@cloudflare/workerd-linux-arm64",
        "@esbuild/linux-arm64",
    }
    assert {(name, version) for name, version, _ in wanted} == set(items)
    for name, version, integrity in wanted:
        content = kit.content(items[name, version]["sha256"])
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        assert f"sha512-{digest}" in integrity.split(), name


def test_every_package_of_uvs_locks_is_in_it_by_a_wheel_of_the_lock(kit: Kit) -> None:
    kinds = {"wheel", "node", "uv"}
    items = {(one["name"], one["version"]): one for one in kit.items if one["kind"] in kinds}
    files = {one["file"]: one for one in kit.items}
    locks = [tomllib.loads(lock) for lock in kit.locks if not lock.startswith("{")]
    assert len(locks) >= 3
    for package in (one for lock in locks for one in lock["packages"]):
        label = package["name"], package["version"]
        assert label in items, label
        here = [one for one in package["wheels"] if _file(one) in files]
        assert here, label
        for wheel in here:
            content = kit.content(files[_file(wheel)]["sha256"])
            assert hashlib.sha256(content).hexdigest() == wheel["hashes"]["sha256"]


def _file(wheel: dict[str, Any]) -> str:
    return str(wheel.get("name") or wheel["url"].rpartition("/")[2])


def test_no_file_in_it_is_for_another_machine(kit: Kit) -> None:
    programs = 0
    for item in kit.items:
        content = kit.content(item["sha256"])
        for name, start in _programs(item["file"], content):
            assert int.from_bytes(start[18:20], "little") == AARCH64, (item["file"], name)
            programs += 1
        if item["targets"]:
            assert item["targets"] == ["linux-arm64"]
    # workerd, esbuild, node, uv and compiled modules of Python and sharp.
    assert programs > 8


def _programs(file: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the beginnings of ELF files in a tarball or a wheel."""
    if file.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    if (start := member.read(20))[:4] == b"\x7fELF":
                        yield name, start
    elif file.endswith(".tgz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for info in filter(tarfile.TarInfo.isreg, tar):
                inside = tar.extractfile(info)
                assert inside is not None
                if (start := inside.read(20))[:4] == b"\x7fELF":
                    yield info.name, start
