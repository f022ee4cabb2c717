"""Wheels that Python locks name, with their digests: ``pylock.toml`` (PEP 751), ``uv.lock``.

Pure. A lock names the wheels of many platforms; ``choose`` takes the one that an installer
on a given platform would take.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pyodide_offline.digest import Digest, parse
from pyodide_offline.errors import ProjectError


@dataclass(frozen=True)
class Wheel:
    """One wheel of a lock; ``url`` is empty for one that lies in a folder (``path``)."""

    name: str
    version: str
    file: str
    url: str
    digest: Digest | None
    path: str = ""


@dataclass(frozen=True)
class Locked:
    """A package of a lock with the wheels that it may be installed from.

    ``marker`` says where it is needed at all, everywhere if empty.
    """

    name: str
    version: str
    wheels: tuple[Wheel, ...]
    marker: str = ""


def read(text: str, what: str) -> tuple[Locked, ...]:
    """Return the packages of a ``pylock.toml`` or ``uv.lock``. Raises ProjectError.

    The project itself and packages that are folders or repositories have no wheels.
    """
    try:
        document = tomllib.loads(text)
        packages = document.get("packages", document.get("package", []))
        return tuple(
            Locked(
                canonicalize_name(one["name"]),
                str(one.get("version", "")),
                tuple(_wheel(one, wheel) for wheel in one.get("wheels", [])),
                str(one.get("marker", "")),
            )
            for one in packages
            if not _own(one.get("source"))
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProjectError(
            f"{what} cannot be read as a lock.",
            why=f"{type(error).__name__}: {error}.",
            next_step="Write it anew: uv lock, or pywrangler sync",
        ) from error


def choose(wheels: Iterable[Wheel], tags: Sequence[Tag]) -> Wheel | None:
    """Return the wheel that suits best: whose tag comes first in ``tags``; None if none does."""
    order = {tag: place for place, tag in enumerate(tags)}
    fit: list[tuple[int, str, Wheel]] = []
    for wheel in wheels:
        try:
            carried = parse_wheel_filename(wheel.file)[3]
        except InvalidWheelFilename:
            continue
        if places := [order[tag] for tag in carried if tag in order]:
            fit.append((min(places), wheel.file, wheel))
    return min(fit, key=lambda one: one[:2])[2] if fit else None


def _own(source: object) -> bool:
    kinds = ("editable", "virtual", "directory")
    return isinstance(source, dict) and any(kind in source for kind in kinds)


def _wheel(package: Mapping[str, Any], wheel: Mapping[str, Any]) -> Wheel:
    url, path = str(wheel.get("url", "")), str(wheel.get("path", ""))
    if url.startswith("file:"):
        url, path = "", unquote(urlsplit(url).path)
    file = str(wheel.get("name") or unquote(urlsplit(url).path or path).rpartition("/")[2])
    stated = wheel.get("hash") or wheel.get("hashes")
    if isinstance(stated, dict):
        stated = f"sha256:{stated['sha256']}" if "sha256" in stated else None
    return Wheel(
        name=canonicalize_name(package["name"]),
        version=str(package["version"]),
        file=file,
        url=url,
        digest=parse(stated) if stated else None,
        path=path,
    )
