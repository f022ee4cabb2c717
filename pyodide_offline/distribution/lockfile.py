"""Pyodide's lock file: which Pyodide it is for, and which packages at which place.

    {"info": {"abi_version", "arch", "platform", "python"},
     "packages": {name: {name, version, file_name, sha256, depends, imports, …}}}

Its keys differ between releases, so what is not known here is kept as it is. A lock that
names more than its folder holds makes Pyodide ask for files that are missing, which it
tells as ``Failed to fetch``: `write` takes exactly the packages that are there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.errors import IntegrityError


@dataclass(frozen=True)
class Package:
    """One entry. ``raw`` is all that the lock says of it; ``depends`` are normalized names."""

    name: str
    version: str
    file_name: str
    sha256: str
    depends: tuple[str, ...]
    imports: tuple[str, ...]
    kind: str = "package"
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def compiled(self) -> bool:
        """Whether it is more than Python files: a wasm wheel or a shared library."""
        return not self.file_name.endswith("-none-any.whl")


@dataclass(frozen=True)
class Lock:
    """A lock file that was read; names are normalized (PEP 503)."""

    target: Target
    packages: Mapping[str, Package]
    raw: Mapping[str, Any]


def read(data: bytes, where: str) -> Lock:
    """Read a lock file; ``where`` is what it is called. Raises IntegrityError."""
    try:
        raw = json.loads(data)
        info = raw["info"]
        target = Target(str(info["python"]), str(info["abi_version"]))
        packages = {one.name: one for one in map(_package, raw["packages"].values())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{where} is not a lock file of Pyodide as it is known here.",
            why=f"{type(error).__name__}: {error}.",
        ) from error
    return Lock(target, packages, raw)


def write(lock: Lock, packages: Iterable[Package]) -> bytes:
    """Return a lock file for the same Pyodide with these packages alone, the same bytes always."""
    entries = {}
    for package in sorted(packages, key=lambda one: one.name):
        entries[package.name] = {
            "install_dir": "site",
            "unvendored_tests": False,
            **package.raw,
            "name": package.name,
            "version": package.version,
            "file_name": package.file_name,
            "sha256": package.sha256,
            "package_type": package.kind,
            "depends": list(package.depends),
            "imports": list(package.imports),
        }
    text = json.dumps({**lock.raw, "packages": entries}, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def closure(lock: Lock, names: Iterable[str]) -> list[Package]:
    """Return these packages of a lock and all that they depend on, sorted by name."""
    found: dict[str, Package] = {}
    waiting: list[str] = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in lock.packages and name not in found:
            found[name] = lock.packages[name]
            waiting += lock.packages[name].depends
    return [found[name] for name in sorted(found)]


def _package(raw: Mapping[str, Any]) -> Package:
    return Package(
        name=canonicalize_name(raw["name"]),
        version=str(raw["version"]),
        file_name=str(raw["file_name"]),
        sha256=str(raw["sha256"]),
        depends=tuple(canonicalize_name(one) for one in _texts(raw.get("depends"))),
        imports=tuple(_texts(raw.get("imports"))),
        kind=str(raw.get("package_type", "package")),
        raw=raw,
    )


def _texts(value: object) -> Sequence[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
