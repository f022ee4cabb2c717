"""Where kits are unpacked to, and where it is kept which keys and serials were seen.

The same folders as ``paths.store_dir``'s, found without a library. What was seen lies
outside the store: whoever removes the store must not make an old kit new again.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_PRODUCT = "pyodide-offline"


def kits_dir(environ: Mapping[str, str], store: Path | None = None) -> Path:
    """Return the folder of unpacked kits in a store, by default this user's."""
    if store is None and (named := environ.get("PYODIDE_OFFLINE_STORE_DIR")):
        store = Path(named).expanduser()
    return (store or _user_dir(environ, "CACHE")).absolute() / "v1" / "kits"


def trust_file(environ: Mapping[str, str]) -> Path:
    """Return the file of pinned keys and seen serials."""
    if named := environ.get("PYODIDE_OFFLINE_STATE_DIR"):
        return Path(named).expanduser().absolute() / "kit-trust.json"
    return _user_dir(environ, "STATE") / "kit-trust.json"


def _user_dir(environ: Mapping[str, str], what: str) -> Path:
    home = Path(environ.get("HOME") or Path("~").expanduser())
    if sys.platform == "win32":
        local = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / _PRODUCT
        return local / "Cache" if what == "CACHE" else local
    if sys.platform == "darwin":
        return (
            home / "Library" / {"CACHE": "Caches", "STATE": "Application Support"}[what] / _PRODUCT
        )
    # XDG Base Directory Specification: a relative path is no path.
    named = environ.get(f"XDG_{what}_HOME", "")
    default = home / {"CACHE": ".cache", "STATE": ".local/state"}[what]
    return (Path(named) if os.path.isabs(named) else default) / _PRODUCT  # noqa: PTH117
