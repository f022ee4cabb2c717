"""Where this product keeps its things, and the rule for a folder that others could reach."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from pyodide_offline.errors import StorageError

STORE_VARIABLE = "PYODIDE_OFFLINE_STORE_DIR"
CACHE_VARIABLE = "PYODIDE_OFFLINE_CACHE_DIR"
CA_VARIABLE = "PYODIDE_OFFLINE_CA"


def store_dir(environ: Mapping[str, str]) -> Path:
    """Return the durable store's folder: the variable's, else in the user's cache folder."""
    if named := environ.get(STORE_VARIABLE):
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("pyodide-offline", appauthor=False)


def bundle_cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder that workerd reads bundles from.

    ``/tmp/pyodide-cache`` by default; on Windows, where /tmp does not exist, a folder
    in the user's own temporary folder.
    """
    if named := environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        import tempfile

        return Path(tempfile.gettempdir()) / "pyodide-cache"
    return Path("/tmp/pyodide-cache")  # noqa: S108 - named by the users' own habit; guarded by private_dir


def private_dir(path: Path) -> Path:
    """Make the folder with mode 0700, or check that nobody else owns it or may write to it.

    What workerd reads is code that it runs, so a folder that another user can fill is
    refused. A group- or world-writable folder of one's own is refused too: its content
    may already be foreign. Raises StorageError.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except FileExistsError as error:
        raise StorageError(
            f"The cache folder {path} cannot be used: it is a file.",
            next_step="Remove it, or name another folder with --cache-dir.",
        ) from error
    except OSError as error:
        raise StorageError(
            f"The cache folder {path} cannot be made: {error.strerror}.",
            next_step="Name another folder with --cache-dir.",
        ) from error
    if sys.platform == "win32":
        return path
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(
            f"The cache folder {path} is a symbolic link, which is not followed.",
            next_step="Name the folder itself with --cache-dir.",
        )
    if found.st_uid != os.getuid():
        raise StorageError(
            f"The cache folder {path} belongs to another user (uid {found.st_uid}).",
            why="workerd would run code that this user can change.",
            next_step="Name a folder of your own with --cache-dir.",
        )
    if found.st_mode & 0o022:
        raise StorageError(
            f"The cache folder {path} can be written by others "
            f"(mode {stat.S_IMODE(found.st_mode):04o}).",
            why="workerd would run code that they can change.",
            next_step=f"Remove it and start again, or: chmod 700 {path}",
        )
    return path
