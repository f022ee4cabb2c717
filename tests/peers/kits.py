"""Small kits for tests: a few files, a manifest that lists them, a key that is always the same."""

import dataclasses
import hashlib
from pathlib import Path

from pyodide_offline.kits.manifest import Item, Manifest, encode
from pyodide_offline.kits.signing import SecretKey, generate
from pyodide_offline.kits.writing import write

FILES = {
    "npm": (b"TARball" * 300, "pkg:npm/%40scope/one@1.0.0"),
    "wheel": (b"WheeL", None),
    "bundle": (bytes(700), None),
    "file": (b"", None),
}


# The platforms of a kit, and what OCI's programs call them.
PLATFORMS = {
    "linux-x64": ("linux", "amd64"),
    "linux-arm64": ("linux", "arm64"),
    "win32-x64": ("windows", "amd64"),
}


def item(kind: str, data: bytes, purl: str | None = None, version: str = "1.0.0") -> Item:
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{'@scope/' if kind == 'npm' else ''}{kind}-one"
    file = f"{kind}-{version}.bin"
    return Item(kind, name, version, file, len(data), sha256, f"sha256:{sha256}", purl)


def contents(folder: Path, extra: bytes = b"") -> tuple[Manifest, dict[str, Path]]:
    """Return a manifest of FILES, and their blobs as files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    items, blobs = [], {}
    for kind, (data, purl) in FILES.items():
        content = data + extra if kind == "npm" else data
        one = item(kind, content, purl)
        blobs[one.sha256] = folder / one.file
        blobs[one.sha256].write_bytes(content)
        items.append(one)
    project = {"package-lock.json": f"sha256:{'0' * 64}"}
    return Manifest("example", 7, tuple(items), ("linux-x64",), project=project), blobs


def key(number: int = 1) -> SecretKey:
    return generate(bytes([number]) * 32)


def kit(target: Path, *, signed: bool = True, extra: bytes = b"") -> Manifest:
    """Write a kit of FILES and return its manifest."""
    manifest, blobs = contents(target.parent / f"{target.name}.files", extra)
    return write(target, manifest, blobs, keys=[key()] if signed else [])


def for_platforms(target: Path) -> Manifest:
    """Write a kit for three platforms, signed twice: one item is for all, one for each."""
    manifest, blobs = contents(target.parent / "files")
    items = list(manifest.items[:1])
    for name in PLATFORMS:
        data = f"a program for {name}".encode()
        one = dataclasses.replace(item("npm", data), name=name, targets=(name,))
        blobs[one.sha256] = target.parent / name
        blobs[one.sha256].write_bytes(data)
        items.append(one)
    several = dataclasses.replace(manifest, items=tuple(items), targets=tuple(PLATFORMS))
    return write(target, several, blobs, keys=[key(), key(2)])


def difference(target: Path, base: Manifest) -> Manifest:
    """Write a kit of the same items that carries one blob only; the others are its base's."""
    manifest, blobs = contents(target.parent / f"{target.name}.files")
    left = tuple(sorted(one.sha256 for one in manifest.items))[1:]
    digest = f"sha256:{hashlib.sha256(encode(base)).hexdigest()}"
    less = dataclasses.replace(manifest, serial=base.serial + 1, base=digest, omitted=left)
    return write(target, less, blobs, keys=[key()])
