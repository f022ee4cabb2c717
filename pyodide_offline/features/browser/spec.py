"""What a folder is asked to hold: package names, requirements files, a pylock.toml, an app."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pyodide_offline import digest
from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.errors import ProjectError

_FILES = {".txt", ".in", ".toml"}
_STEP = "Name a requirements file, a pylock.toml, or packages: 'fastapi>=0.115'."
_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")  # PEP 751, "File name"


@dataclass(frozen=True)
class Spec:
    """``words`` are for pip; ``pins`` the requirements that are known by name.

    ``hashes`` has, by file name, the SHA-256 digests that a lock of the user's names;
    ``key`` stands for all of it, contents of files too.
    """

    words: tuple[str, ...]
    pins: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


def read(asked: Sequence[str], folder: Path, target: Target) -> Spec:
    """Read SPEC: each a file (requirements or pylock.toml) or a requirement.

    Raises ProjectError.
    """
    words: list[str] = []
    pins: dict[str, str] = {}
    hashes: dict[str, str] = {}
    contents: list[str] = []
    for one in asked:
        path = folder / one
        if not (path.is_file() and path.suffix in _FILES):
            requirement = _requirement(one)
            words.append(one)
            pins[canonicalize_name(requirement.name)] = str(requirement)
            continue
        text = _text(path)
        contents.append(text)
        if path.suffix == ".toml":
            found, digests = _locked(path, text, target)
            words += found.values()
            pins.update(found)
            hashes.update(digests)
        else:
            if not any(line.split("#")[0].strip() for line in text.splitlines()):
                raise ProjectError(f"{path} names no package.", next_step=_STEP)
            words += ["-r", str(path)]
            pins.update(_named(text))
    identity = "\n".join([*words, *contents, target.python, target.platform])
    return Spec(tuple(words), pins, hashes, digest.of_bytes(identity.encode()).hex)


def _requirement(text: str) -> Requirement:
    if Path(text).suffix in _FILES:  # no package is called so
        raise ProjectError(f"There is no file {text} here.", next_step=_STEP)
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise ProjectError(
            f"{text!r} is neither a file here nor a requirement.",
            why=f"{error}".splitlines()[0] + ".",
            next_step=_STEP,
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"Cannot read {path}: {error}.") from error


def _named(text: str) -> dict[str, str]:
    """Return the plain requirements of a requirements file; pip reads the others itself."""
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.split(r"\s#|\s--hash", line.strip())[0].strip()
        try:
            requirement = Requirement(plain)
        except InvalidRequirement:
            continue
        found[canonicalize_name(requirement.name)] = str(requirement)
    return found


def _locked(path: Path, text: str, target: Target) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a pylock.toml (PEP 751) pins on Emscripten, and its wheels' digests."""
    if not _PYLOCK.fullmatch(path.name):
        raise ProjectError(
            f"{path} is not a lock file.",
            why="PEP 751 calls one pylock.toml or pylock.NAME.toml.",
            next_step="Make one: pip lock, or uv export --format pylock.toml",
        )
    try:
        packages = tomllib.loads(text)["packages"]
        wanted = [one for one in packages if _applies(one, target)]
        pins: dict[str, str] = {
            canonicalize_name(one["name"]): f"{one['name']}=={one['version']}" for one in wanted
        }
        hashes = {
            _file_name(wheel): wheel["hashes"]["sha256"]
            for one in wanted
            for wheel in one.get("wheels", ())
            if "sha256" in wheel["hashes"]
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, InvalidMarker) as error:
        raise ProjectError(
            f"{path} cannot be used as a pylock.toml.", why=f"{type(error).__name__}: {error}."
        ) from error
    return pins, hashes


def _applies(package: Mapping[str, Any], target: Target) -> bool:
    text = package.get("marker")
    return not text or Marker(text).evaluate({**target.markers(), "extra": ""})


def _file_name(wheel: Mapping[str, Any]) -> str:
    name = wheel.get("name") or wheel.get("url") or wheel["path"]
    return str(name).rpartition("/")[2]
