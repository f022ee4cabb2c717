"""Which bundles a workerd in a package of npm asks for."""

import stat
import tarfile
from pathlib import Path

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.errors import WorkerdError
from pyodide_offline.features.mirror import workerds
from pyodide_offline.features.mirror.locked import NPM, PYTHON, Want
from pyodide_offline.features.mirror.sync import Bundle
from pyodide_offline.store import Store
from pyodide_offline.workers.toolchain import platforms
from tests.peers import workerd
from tests.peers.workerd import Setup

SRI = of_bytes(b"a bundle")


def packed(folder: Path, *, name: str = "package/bin/workerd") -> Path:
    fake = workerd.make(folder / "w", Setup(digest=SRI.sri))
    with tarfile.open(folder / "workerd.tgz", "w:gz") as tar:
        tar.add(fake.path, name)
    return folder / "workerd.tgz"


def test_each_bundle_of_its_dates_with_the_digest_that_it_carries(tmp_path: Path) -> None:
    found = workerds.bundles(Store(tmp_path / "store"), packed(tmp_path))
    assert Bundle("/pyodide_314.0.6_2026-08-17_11.capnp.bin", SRI) in found
    assert len(found) > 1
    assert stat.S_IMODE((tmp_path / "workerd.tgz").stat().st_mode) & 0o400


def test_a_package_without_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerdError, match="There is no workerd in"):
        workerds.bundles(Store(tmp_path / "store"), packed(tmp_path, name="package/workerd"))


def test_only_this_machines_workerd_is_started() -> None:
    mine = Want(NPM, str(platforms.workerd_package()), "1.0.0", (SRI,))
    others = [Want(NPM, "workerd", "1", (SRI,)), Want(PYTHON, mine.name, "1", (SRI,))]
    assert workerds.among([*others, mine]) == [mine]
