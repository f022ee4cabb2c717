"""Pure wheels of packages whose compiled part is optional, for indexes that have none.

MarkupSafe and PyYAML publish wheels for native platforms only. Each imports its compiled
part in a ``try`` and does without (read in ``markupsafe/__init__.py`` and
``yaml/__init__.py``), so their Python files make a wheel that runs anywhere: a native
wheel's, without what is compiled. Only packages that are known to do without are listed.
"""

import base64
import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers.toolchain import uv

# As uv writes them in its messages and in file names.
PACKAGES = ("markupsafe", "pyyaml")
_COMPILED = (".so", ".pyd", ".dylib", ".c", ".h", ".pyx", ".pxd")
# What an installer leaves, and RECORD, which is written anew.
_LEFT = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", "WHEEL")
_WHEEL = "Wheel-Version: 1.0\nGenerator: pyodide-offline\nRoot-Is-Purelib: true\nTag: {tag}\n"
_TAG = "py3-none-any"


def provide(
    session: Session, program: Path, environ: Mapping[str, str], series: str
) -> dict[str, str]:
    """Return the variable that makes uv see these wheels, made if they are not there.

    Raises what a failed uv raises; ``environ`` says which index it asks.
    """
    folder = session.store.root / LAYOUT / "uv-wheels" / series
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in PACKAGES:
        if not list(folder.glob(f"{name}-*-{_TAG}.whl")):
            with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as scratch:
                tree = Path(scratch) / "tree"
                uv.run(
                    program,
                    # Any native platform will do: its compiled files are left out.
                    [
                        *("pip", "install", "--target", tree, "--no-deps", "--only-binary"),
                        *(":all:", "--python-platform", "x86_64-manylinux_2_28"),
                        *("--python-version", series, "--python", sys.executable, name),
                    ],
                    environ=environ,
                    cwd=folder,
                    doing=f"get {name}",
                )
                made = pack(tree, Path(scratch))
                made.replace(folder / made.name)
    links = [one for one in (environ.get("UV_FIND_LINKS"), str(folder)) if one]
    return {"UV_FIND_LINKS": ",".join(links)}


def pack(tree: Path, into: Path) -> Path:
    """Make the pure wheel of the one package that is installed in a folder; same bytes always."""
    (info,) = tree.glob("*.dist-info")
    wheel = into / f"{info.name.removesuffix('.dist-info')}-{_TAG}.whl"
    contents = {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and _belongs(path.relative_to(tree), info.name)
    }
    contents[f"{info.name}/WHEEL"] = _WHEEL.format(tag=_TAG).encode()
    record = f"{info.name}/RECORD"
    lines = [f"{name},{_hash(data)},{len(data)}" for name, data in sorted(contents.items())]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            # Of one time: zip's first.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), contents[name])
    return wheel


def _belongs(path: Path, info: str) -> bool:
    if len(path.parts) == 1 and path.name.startswith("."):
        return False
    if path.parts[0] == info and path.name in _LEFT:
        return False
    return path.suffix not in _COMPILED and "__pycache__" not in path.parts


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
