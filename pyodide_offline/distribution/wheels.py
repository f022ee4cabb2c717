"""Wheels (binary distribution format): what one says of itself, and a stand-in for one.

A stand-in has a name, a version and dependencies but no content. The resolver gets one for
each package that only Pyodide's full folder has, so that it resolves to the end and all
such packages can be named at once. Its build number tells it from a wheel.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pyodide_offline import archive
from pyodide_offline.digest import of_file
from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.distribution.lockfile import Package
from pyodide_offline.errors import IntegrityError

# A build number begins with a digit (binary distribution format, "File name convention").
_STANDIN = "0pyodidefull"
# The longest METADATA of what PyPI has is some hundred kB of README.
_LONGEST = 16 << 20
_PURE = "Wheel-Version: 1.0\nGenerator: pyodide-offline\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Wheel:
    """A wheel that was read. ``requires`` as it is written; ``imports`` are its modules."""

    path: Path
    name: str
    version: str
    pure: bool
    requires: tuple[str, ...]
    imports: tuple[str, ...]
    sha256: str

    @property
    def standin(self) -> bool:
        """Whether there is nothing in it, see above."""
        return is_standin(self.path.name)


def is_standin(file_name: str) -> bool:
    """Say whether a file name is that of a stand-in."""
    return f"-{_STANDIN}-" in file_name


def read(path: Path) -> Wheel:
    """Read a wheel's name, dependencies and modules.

    Raises IntegrityError, also for a wheel that exceeds an archive's bounds.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        names, texts = _described(path)
        metadata = BytesParser().parsebytes(_text(texts, "METADATA"), headersonly=True)
    except (InvalidWheelFilename, OSError, KeyError, ValueError) as error:
        raise IntegrityError(f"{path.name} is not a usable wheel.", why=f"{error}.") from error
    return Wheel(
        path=path,
        name=name,
        version=str(version),
        pure=all(tag.platform == "any" and tag.abi == "none" for tag in tags),
        requires=tuple(str(one) for one in metadata.get_all("Requires-Dist") or ()),
        imports=_top_level(texts) or _modules(names),
        sha256=of_file(path).hex,
    )


def metadata(path: Path) -> bytes:
    """Return a wheel's METADATA file as it is. Raises KeyError if there is none, IntegrityError."""
    return _text(_described(path)[1], "METADATA")


def depends(wheel: Wheel, target: Target, present: set[str]) -> tuple[str, ...]:
    """Return the normalized names of ``present`` that a wheel needs on Emscripten.

    Which extras were asked for is not recorded in a wheel; what an extra needs counts if
    it is present.
    """
    found = set()
    for text in wheel.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name)
        if name in present and name != wheel.name and _wanted(requirement, target):
            found.add(name)
    return tuple(sorted(found))


def write_standin(package: Package, folder: Path) -> Path:
    """Write the stand-in for an entry of a lock; its dependencies are the lock's."""
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    path = folder / f"{stem}-{_STANDIN}-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {package.name}", f"Version: {package.version}"]
    lines += [f"Requires-Dist: {name}" for name in package.depends]
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{info}/METADATA", "\n".join([*lines, ""]))
        made.writestr(f"{info}/WHEEL", _PURE)
        made.writestr(f"{info}/RECORD", "")
    return path


def _wanted(requirement: Requirement, target: Target) -> bool:
    if requirement.marker is None or "extra" in str(requirement.marker):
        return True
    return requirement.marker.evaluate({**target.markers(), "extra": ""})


def _described(path: Path) -> tuple[list[str], dict[str, bytes]]:
    """Return the names of a wheel's files, and what its .dist-info says of it."""
    names, texts = [], {}
    for file in archive.files(path):
        names.append(file.name)
        folder, _, short = file.name.partition("/")
        if folder.endswith(".dist-info") and short in ("METADATA", "top_level.txt"):
            if file.size > _LONGEST:
                raise IntegrityError(f"{path.name} is not a usable wheel: {short} is too long.")
            texts[short] = file.read()
    return names, texts


def _text(texts: Mapping[str, bytes], name: str) -> bytes:
    if name not in texts:
        raise KeyError(f"it has no {name}")
    return texts[name]


def _top_level(texts: Mapping[str, bytes]) -> tuple[str, ...]:
    words = texts.get("top_level.txt", b"").decode("utf-8", "replace").split()
    return tuple(sorted(word for word in words if "/" not in word))


def _modules(names: Iterable[str]) -> tuple[str, ...]:
    """Return the top-level modules among a wheel's files; a package has a file below it."""
    found = set()
    for name in names:
        top, slash, below = name.partition("/")
        if top.endswith((".dist-info", ".data")):
            continue
        if slash and below.endswith((".py", ".pyc", ".so")):
            found.add(top)
        elif not slash and top.endswith((".py", ".pyc", ".so")):
            found.add(top.partition(".")[0])
    return tuple(sorted(name for name in found if name.isidentifier()))
