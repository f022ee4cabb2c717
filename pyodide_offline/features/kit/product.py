"""This product as a wheel, made of the files that run now: same files, same bytes.

What runs may be an editable install, which has no wheel; the files are the package's own
either way.
"""

import base64
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path

import pyodide_offline

NAME = "pyodide-offline"
_TAG = "py3-none-any"
_WHEEL = f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: true\nTag: {_TAG}\n"
_COPIED = ("METADATA", "entry_points.txt")


def requirements() -> list[str]:
    """Return what this release needs, extras left out."""
    needed = importlib.metadata.requires(NAME) or []
    return sorted(one for one in needed if "extra ==" not in one)


def file_name() -> str:
    """Return the wheel's file name (PEP 427)."""
    return f"pyodide_offline-{pyodide_offline.__version__}-{_TAG}.whl"


def write(target: Path) -> None:
    """Write the wheel; OSError passes."""
    contents = {**_package(), **_metadata()}
    record = f"{_info()}/RECORD"
    lines = [f"{name},{_hash(data)},{len(data)}" for name, data in sorted(contents.items())]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            # Of one time: zip's first.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), contents[name])


def _package() -> dict[str, bytes]:
    root = Path(pyodide_offline.__file__).parent
    patches = root / "patches"
    # In a clone they lie beside the package (see pyproject's force-include).
    trees = {root: "pyodide_offline"}
    if not patches.is_dir():
        trees[root.parent / "patches"] = "pyodide_offline/patches"
    return {
        f"{prefix}/{path.relative_to(tree).as_posix()}": path.read_bytes()
        for tree, prefix in trees.items()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _metadata() -> dict[str, bytes]:
    installed = importlib.metadata.distribution(NAME)
    found = {name: installed.read_text(name) for name in _COPIED}
    texts = {name: text for name, text in found.items() if text is not None}
    return {f"{_info()}/{name}": text.encode() for name, text in {**texts, "WHEEL": _WHEEL}.items()}


def _info() -> str:
    return f"pyodide_offline-{pyodide_offline.__version__}.dist-info"


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
