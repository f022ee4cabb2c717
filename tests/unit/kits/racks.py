"""Unpacked kits for tests: archives in a folder, and the plan that lays them out."""

import hashlib
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.plan import Native, Plan
from pyodide_offline.kits.rack import Rack
from tests.peers import registry

HERE = plans.target(sys.platform, platform.machine())
SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"


def tarball(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Write an npm package whose first folder has a name of its own."""
    path = folder / f"{name.rpartition('/')[2]}-{version}.tgz"
    path.write_bytes(registry.pack({f"package/{one}": data for one, data in files.items()}))
    return path


def item(path: Path, kind: str = "wheel", name: str = "", version: str = "") -> Item:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Item(kind, name or path.name, version, path.name, path.stat().st_size, sha256)


def kit(
    folder: Path, archives: Iterable[tuple[Path, Item]], plan: Plan | None
) -> tuple[tuple[Item, ...], dict[str, Path]]:
    """Return the items of a kit with a plan, and where each lies."""
    found = list(archives)
    if plan is not None:
        path = folder / plans.FILE
        path.write_bytes(plans.encode(plan))
        found.append((path, item(path, plans.KIND, plans.NAME)))
    return tuple(one for _, one in found), {one.sha256: path for path, one in found}


def plan(native: Native, **more: object) -> Plan:
    return Plan(SERIES, {HERE: native}, **more)  # type: ignore[arg-type]


def rack(folder: Path, archives: Iterable[tuple[Path, Item]], plan: Plan | None) -> Rack:
    return Rack(*kit(folder, archives, plan))
