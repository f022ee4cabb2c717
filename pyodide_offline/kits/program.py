"""Makes ``kit.pyz``: the part of this package that a machine with nothing but Python needs.

The archive holds modules of the standard library's world only, as they are installed here,
stored uncompressed with one date, so that its bytes depend on this release alone.
"""

import importlib.util
import io
import zipfile
from pathlib import Path

from pyodide_offline.errors import PyodideOfflineError

# What `kit.pyz` runs. A test holds that these import each other and the standard library only.
MODULES = (
    "pyodide_offline",
    "pyodide_offline.archive",
    "pyodide_offline.archive.bounds",
    "pyodide_offline.archive.names",
    "pyodide_offline.archive.opening",
    "pyodide_offline.archive.stream",
    "pyodide_offline.archive.tapes",
    "pyodide_offline.archive.zips",
    "pyodide_offline.digest",
    "pyodide_offline.disk",
    "pyodide_offline.errors",
    "pyodide_offline.kits",
    "pyodide_offline.kits.ahead",
    "pyodide_offline.kits.bootstrap",
    "pyodide_offline.kits.copies",
    "pyodide_offline.kits.crew",
    "pyodide_offline.kits.ed25519",
    "pyodide_offline.kits.installing",
    "pyodide_offline.kits.layout",
    "pyodide_offline.kits.manifest",
    "pyodide_offline.kits.oci",
    "pyodide_offline.kits.places",
    "pyodide_offline.kits.plan",
    "pyodide_offline.kits.rack",
    "pyodide_offline.kits.reading",
    "pyodide_offline.kits.signature",
    "pyodide_offline.kits.starting",
    "pyodide_offline.kits.trust",
    "pyodide_offline.kits.unpacking",
    "pyodide_offline.kits.volumes",
)
_MAIN = b"from pyodide_offline.kits.starting import main\n\nmain()\n"
_DATE = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """Return the bytes of ``kit.pyz``."""
    whole = io.BytesIO(b"#!/usr/bin/env python3\n")
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a") as file:
        for name, data in [("__main__.py", _MAIN), *map(_source, MODULES)]:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            file.writestr(entry, data)
    return whole.getvalue()


def _source(module: str) -> tuple[str, bytes]:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise PyodideOfflineError(f"{module} is missing in this installation.")
    place = module.replace(".", "/")
    name = f"{place}/__init__.py" if found.submodule_search_locations else f"{place}.py"
    return name, Path(found.origin).read_bytes()
