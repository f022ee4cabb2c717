"""Indexes made from the archives themselves, for a mirror that got them by a kit. Pure.

A kit has archives and no index. npm's is made of the tarballs' own package.json, Python's of
the wheels' names and METADATA, and what an index says already of other versions stays. One
that says another digest of the same version is not written over: that is an error.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

from pyodide_offline.errors import IntegrityError
from pyodide_offline.workers.toolchain import semver

# Where such a file is fetched from if it is lost: the registry's own place for it, tried
# first; this host is nobody's (RFC 2606).
_NOWHERE = "https://kit.invalid"
_UNSAID = ("scripts", "readme", "readmeFilename", "gitHead")


@dataclass(frozen=True)
class Tarball:
    """A package of npm: its own package.json, file name and the lock's digest."""

    name: str
    version: str
    file: str
    integrity: str
    package: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wheel:
    """A wheel: its file name, sha256 in hex, size, METADATA and the sha256 of that."""

    file: str
    sha256: str
    size: int
    metadata: bytes = b""
    metadata_sha256: str = ""


def packument(name: str, tarballs: Iterable[Tarball], old: bytes | None) -> bytes:
    """Return npm's description of a package with these versions added to what ``old`` has."""
    document = _loaded(old) or {"name": name, "dist-tags": {}, "versions": {}}
    versions = document.setdefault("versions", {})
    for one in tarballs:
        known = versions.get(one.version)
        if known is not None:
            _same(f"{name}@{one.version}", known.get("dist", {}).get("integrity"), one.integrity)
            continue
        said = {key: value for key, value in one.package.items() if key not in _UNSAID}
        versions[one.version] = {
            **said,
            "name": name,
            "version": one.version,
            # npm has to know that there are scripts, not which.
            **({"hasInstallScript": True} if _installs(one.package) else {}),
            "dist": {
                "tarball": f"{_NOWHERE}/{name}/-/{one.file}",
                "integrity": one.integrity,
            },
        }
    tags = document.setdefault("dist-tags", {})
    tags.setdefault("latest", max(versions, key=_order))
    return _written(document)


def page(project: str, wheels: Iterable[Wheel], old: bytes | None) -> bytes:
    """Return a project's page (PEP 691) with these files added to what ``old`` has."""
    document = _loaded(old) or {"meta": {"api-version": "1.0"}, "name": project, "files": []}
    files = document.setdefault("files", [])
    known = {str(one.get("filename")): one for one in files}
    for one in wheels:
        if there := known.get(one.file):
            _same(one.file, there.get("hashes", {}).get("sha256"), one.sha256)
            continue
        entry: dict[str, Any] = {
            "filename": one.file,
            "url": f"{_NOWHERE}/{project}/{one.file}",
            "hashes": {"sha256": one.sha256},
            "size": one.size,
        }
        if one.metadata:
            entry["core-metadata"] = {"sha256": one.metadata_sha256}
            headers = BytesParser().parsebytes(one.metadata, headersonly=True)
            if requires := headers.get("Requires-Python"):
                entry["requires-python"] = str(requires)
        files.append(entry)
    # Versions would have to name all of them, and sizes be known of each.
    document.pop("versions", None)
    document["meta"] = {"api-version": "1.0"}
    return _written(document)


def _loaded(data: bytes | None) -> dict[str, Any] | None:
    try:
        document = json.loads(data) if data else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _same(what: str, there: object, ours: str) -> None:
    if there != ours:
        raise IntegrityError(
            f"The mirror knows {what} with another digest than the kit.",
            why=f"It has {there}, the kit {ours}.",
            next_step="Find out which is right; nothing was changed.",
        )


def _installs(package: Mapping[str, Any]) -> bool:
    scripts = package.get("scripts")
    wanted = ("preinstall", "install", "postinstall")
    return isinstance(scripts, dict) and any(one in scripts for one in wanted)


def _order(version: str) -> tuple[bool, object, str]:
    """Sort a prerelease below any release."""
    parsed = semver.parse(version.partition("-")[0])
    return "-" not in version, parsed or (0, 0, 0), version


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
