"""A native Python as uv's sources have them: an archive that is opened anywhere, and its list.

Of this machine's own CPython, since where uv's archives lie cannot be reached: laid out as
they are (``python/bin``, ``python/lib``), its links followed.
"""

import hashlib
import io
import json
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline.features.kit import natives

SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = ".".join(str(part) for part in sys.version_info[:3])
_LEFT_OUT = {"__pycache__", "dist-packages", "site-packages", "test", "idlelib", "ensurepip"}


@dataclass(frozen=True)
class Source:
    """A folder with archives by uv's names, and ``list``, which names them for uv."""

    folder: Path
    list: Path

    @property
    def archives(self) -> dict[str, bytes]:
        """Their bytes by name."""
        return {one.name: one.read_bytes() for one in self.folder.glob("*.tar.gz")}


def source(folder: Path, origin: str, *platforms: str) -> Source:
    """Write archives below ``folder``, served at ``origin``, for platforms as uv names them.

    Those of other platforms have this one's programs: uv opens them and starts none.
    """
    folder.mkdir()
    listed: dict[str, Any] = {}
    for name in platforms:
        file = folder / f"cpython-{VERSION}+20261110-{name}-install_only_stripped.tar.gz"
        write(file, name)
        url = f"{origin}/{file.name.replace('+', '%2B')}"
        listed |= natives.downloads(
            VERSION, name, url, hashlib.sha256(file.read_bytes()).hexdigest()
        )
    names = folder / "list.json"
    names.write_text(json.dumps(listed))
    return Source(folder, names)


def write(file: Path, platform: str) -> None:
    """Write this machine's Python, without its packages, as uv's archive for a platform."""
    real = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}))
    with tarfile.open(file, "w:gz", compresslevel=1, dereference=True) as archive:
        for name in ("python", "python3", f"python{SERIES}"):
            archive.add(real, f"python/bin/{name}")
        archive.add(library, f"python/lib/python{SERIES}", filter=_kept)
        for shared in Path(sysconfig.get_config_var("LIBDIR")).glob(f"libpython{SERIES}.so*"):
            archive.add(shared, f"python/lib/{shared.name}")
        text = platform.encode()
        member = tarfile.TarInfo("python/lib/platform.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(Path(member.name).parts)
    return None if parts & _LEFT_OUT or member.name.endswith(".a") else member
