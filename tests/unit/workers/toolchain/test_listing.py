"""A toolchain as lines for people."""

import json
from pathlib import Path

import pytest

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import listing
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.wrangler import Wrangler


@pytest.fixture
def toolchain(session: Session, tmp_path: Path) -> Toolchain:
    """The user's own Node, and a wrangler in the store."""

    def produce(folder: Path) -> dict[str, str]:
        for name in ("wrangler", "workerd/bin"):
            (folder / name).mkdir(parents=True)
        manifest = {"name": "workerd", "version": "1.20261117.1"}
        (folder / "workerd" / "package.json").write_text(json.dumps(manifest))
        return {"source": "npm"}

    tree = session.store.fill_tree("wrangler", "4", produce).path
    wrangler = Wrangler(
        package=tree / "wrangler",
        version="4.164.0",
        node_range=">=22",
        workerd=tree / "workerd" / "bin" / "workerd",
        schema=tree / "workerd.capnp",
        bin_dir=tree / "bin",
        managed=True,
        prefix=tree,
    )
    own = tmp_path / "own"
    node = Node(own / "node", "24.1.0", ("npm",), own, managed=False)
    return Toolchain(node, wrangler, None)


def test_each_program_has_version_and_owner(session: Session, toolchain: Toolchain) -> None:
    found = listing.listed(session, toolchain)
    assert [(one.what, one.version, one.entry is not None) for one in found] == [
        ("wrangler", "4.164.0", True),
        ("workerd", "1.20261117.1", True),
        ("Node", "24.1.0", False),
    ]


def test_an_unreadable_workerd_package_is_unknown(session: Session, toolchain: Toolchain) -> None:
    (toolchain.wrangler.workerd.parent.parent / "package.json").write_text("{")
    assert listing.listed(session, toolchain)[1].version == "unknown"


def test_only_managed_folders_are_put_on_path(toolchain: Toolchain) -> None:
    assert listing.folders(toolchain) == [toolchain.wrangler.bin_dir]
