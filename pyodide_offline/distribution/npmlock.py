"""npm's ``package-lock.json``: which packages an install on a given platform takes. Pure.

Lock versions 2 and 3 (npm's manual, "package-lock.json"): ``packages`` maps a place in
``node_modules`` to what lies there, optional packages of every platform included. A package
without ``integrity`` is not pinned: whoever serves it decides what it is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyodide_offline.digest import Digest, parse
from pyodide_offline.errors import ProjectError

_MODULES = "node_modules/"


@dataclass(frozen=True)
class Platform:
    """A machine as npm names it: ``process.platform``, ``process.arch``, libc or empty."""

    os: str
    cpu: str
    libc: str = ""


@dataclass(frozen=True)
class Package:
    """One package of the lock; ``resolved`` is where its maker's tarball was found."""

    name: str
    version: str
    resolved: str
    integrity: Digest | None
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()

    def fits(self, platform: Platform) -> bool:
        """Say whether npm installs it there (npm's manual, package.json: os, cpu, libc)."""
        libc = not self.libc or not platform.libc or _allowed(self.libc, platform.libc)
        return _allowed(self.os, platform.os) and _allowed(self.cpu, platform.cpu) and libc


def read(text: str | bytes, what: str = "package-lock.json") -> tuple[Package, ...]:
    """Return the packages of a lock, each once, sorted. Raises ProjectError.

    Links into the project (workspaces) and what lies in other packages' tarballs are not
    fetched, so they are left out.
    """
    try:
        document = json.loads(text)
        places = document["packages"]
        found = {
            _package(place, entry)
            for place, entry in places.items()
            if place and not entry.get("link") and not entry.get("inBundle")
            if _MODULES in place
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProjectError(
            f"{what} cannot be read as a lock of npm 7 or later.",
            why=f"{type(error).__name__}: {error}.",
            next_step="Write it anew: npm install --package-lock-only",
        ) from error
    return tuple(sorted(found, key=lambda one: (one.name, one.version)))


def installed(text: str | bytes, root: str, platform: Platform) -> dict[str, Package]:
    """Return what npm lays out for one package and all that it needs: place → package.

    Places are the lock's own, such as ``node_modules/ws``. What an optional package of
    another platform needs is left out with it. Empty if the lock has no such package at
    its top, or something of it is not a package from a registry.
    """
    entries: Mapping[str, Mapping[str, Any]] = json.loads(text)["packages"]
    found: dict[str, Package] = {}
    waiting = [f"{_MODULES}{root}"]
    while waiting:
        place = waiting.pop()
        entry = entries.get(place)
        if entry is None or entry.get("link"):
            return {}
        package = _package(place, entry)
        if place in found or entry.get("inBundle") or not package.fits(platform):
            continue
        found[place] = package
        for group in ("dependencies", "optionalDependencies", "peerDependencies"):
            for name in entry.get(group, {}):
                # An optional peer may be missing.
                if needed := _resolved(entries, place, name):
                    waiting.append(needed)
    return found


def _resolved(entries: Mapping[str, object], place: str, name: str) -> str | None:
    """Return where Node finds ``name`` from a place: nearest first, then upward."""
    while True:
        here = f"{place}/{_MODULES}{name}" if place else f"{_MODULES}{name}"
        if here in entries:
            return here
        if not place:
            return None
        place = place.rpartition(f"/{_MODULES}")[0] if f"/{_MODULES}" in place else ""


def _package(place: str, entry: Mapping[str, Any]) -> Package:
    integrity = entry.get("integrity")
    return Package(
        # An alias lies under another name than its own, which the entry then says.
        name=str(entry.get("name") or place.rpartition(_MODULES)[2]),
        version=str(entry["version"]),
        resolved=str(entry.get("resolved") or ""),
        integrity=parse(integrity) if integrity else None,
        os=_words(entry.get("os")),
        cpu=_words(entry.get("cpu")),
        libc=_words(entry.get("libc")),
    )


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _allowed(rules: Sequence[str], name: str) -> bool:
    """Apply npm's rule: ``!name`` forbids, and a list that names any allows only those."""
    if f"!{name}" in rules:
        return False
    named = [rule for rule in rules if not rule.startswith("!")]
    return not named or name in named or "any" in named
