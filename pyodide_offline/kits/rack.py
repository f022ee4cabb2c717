"""An unpacked kit's archives by the names that its plan has for them.

Standard library only: part of ``kit.pyz``.
"""

import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.installing import NPM, WHEEL, Job
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.plan import Native, Plan


class Rack:
    """What of the ``items`` is for this machine; ``places`` maps hex digests to files."""

    def __init__(self, items: Iterable[Item], places: Mapping[str, Path]) -> None:
        self._places = places
        self._here = plans.target(sys.platform, platform.machine())
        self._items = [
            one
            for one in items
            if one.sha256 in places and (not one.targets or self._here in one.targets)
        ]
        self._named = {
            f"{one.name}@{one.version}" if one.kind == "npm" else one.file: one
            for one in self._items
        }

    def plan(self) -> tuple[Plan, Native] | None:
        """Return the plan and its part for this machine, if it has one for this Python.

        Raises IntegrityError.
        """
        item = plans.item(self._items)
        if item is None or sys.platform == "win32":
            return None
        data = self._places[item.sha256].read_bytes()
        plan = plans.decode(data) if digests.of_bytes(data).hex == item.sha256 else None
        native = plan.native.get(self._here) if plan else None
        if plan is None or native is None:
            return None
        fits = plan.python == f"{sys.version_info.major}.{sys.version_info.minor}"
        return (plan, native) if fits else None

    def have(self, names: Iterable[str]) -> bool:
        """Say whether all of these are there, and there are any."""
        listed = list(names)
        return bool(listed) and all(name in self._named for name in listed)

    def wheels(
        self,
        names: Iterable[str],
        target: Path,
        *,
        only: tuple[str, ...] = (),
        pure: bool = False,
        environment: Path | None = None,
    ) -> list[Job]:
        """Return the jobs that install wheels into one folder.

        The commands of wheels are made where ``environment`` names one. See ``Job``.
        """
        scripts = str(environment / "bin") if environment else ""
        python = str(environment / "bin" / "python") if environment else ""
        found = [(self._named[name], str(target)) for name in names]
        return [
            Job(self._path(one), one.sha256, WHEEL, into, only, pure, scripts, python)
            for one, into in found
        ]

    def modules(self, places: Mapping[str, str], root: Path) -> list[Job]:
        """Return the jobs that lay out npm's packages below ``root``, the largest first."""
        found = [(self._named[name], str(root / place)) for place, name in places.items()]
        found.sort(key=lambda one: -one[0].size)
        return [Job(self._path(one), one.sha256, NPM, into) for one, into in found]

    def tarballs(self, name: str) -> Iterable[tuple[Item, Path]]:
        """Yield the versions of an npm package that are in the kit."""
        for item in self._items:
            if (item.kind, item.name) == ("npm", name):
                yield item, self._places[item.sha256]

    def _path(self, item: Item) -> str:
        return str(self._places[item.sha256])
