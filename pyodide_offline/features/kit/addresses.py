"""What the project's locks say of addresses: which archive of a kit is meant by each.

A kit holds no addresses, the locks do. Whoever installs by a lock asks for an archive where
its maker has it, which may tell nothing of its name; the digest beside it does.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.distribution import npmlock, pythonlock
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.kits.manifest import Item

_NPM = ("package-lock.json", "npm-shrinkwrap.json")
_PYTHON = ("uv.lock", "pylock.toml")


def of(project: Path, items: Iterable[Item]) -> dict[str, Item]:
    """Return items by the addresses that the locks in the project or above it give them.

    A lock that cannot be read is left to the program that it belongs to.
    """
    held = {}
    for item in items:
        held[f"sha256:{item.sha256}"] = item
        if item.upstream:
            held[str(digests.parse(item.upstream))] = item
    found: dict[str, Item] = {}
    folder = project.resolve()
    for place in (folder, *folder.parents):
        for url, pinned in (*_npm(place), *_python(place)):
            if pinned in held:
                found.setdefault(url, held[pinned])
    return found


def _npm(folder: Path) -> Iterator[tuple[str, str]]:
    for name in _NPM:
        with suppress(OSError, PyodideOfflineError, ValueError):
            for package in npmlock.read((folder / name).read_bytes(), name):
                if package.resolved and package.integrity:
                    yield package.resolved, str(package.integrity)


def _python(folder: Path) -> Iterator[tuple[str, str]]:
    for name in _PYTHON:
        with suppress(OSError, PyodideOfflineError, ValueError):
            for package in pythonlock.read((folder / name).read_text(encoding="utf-8"), name):
                for wheel in package.wheels:
                    if wheel.url and wheel.digest:
                        yield wheel.url, str(wheel.digest)
