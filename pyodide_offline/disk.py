"""Whole files and whole folders: written beside and renamed, listed, removed.

What a full disk or missing rights mean is said here once, for all that writes.
"""

import errno
import glob
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.errors import StorageError

_ELSEWHERE = "name another place (the store's: PYODIDE_OFFLINE_STORE_DIR)"


def foreign(found: os.stat_result) -> bool:
    """Say whether somebody else than this user or root owns a file, so may change it."""
    return sys.platform != "win32" and found.st_uid not in (0, os.getuid())


def tree_digest(
    folder: Path, of_file: Callable[[Path], Digest] = digests.of_file
) -> tuple[Digest, int]:
    """Return the sha256 of a folder's sorted listing with contents, and its size in bytes.

    Byte-code caches are left out: running what is inside may add them. ``of_file`` gives a
    file's sha256.
    """
    lines, size = [], 0
    for path in sorted(walk(folder)):
        found = path.lstat()
        relative = path.relative_to(folder).as_posix()
        if stat.S_ISLNK(found.st_mode):
            lines.append(f"l {relative} {path.readlink()}")
        else:
            size += found.st_size
            executable = "x" if found.st_mode & 0o100 else "-"
            lines.append(f"f{executable} {relative} {of_file(path).hex}")
    return digests.of_bytes("\n".join(lines).encode()), size


def tree_size(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in walk(path))


def walk(folder: Path) -> Iterator[Path]:
    """Yield every file and link in a folder, byte-code caches left out."""
    for base, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        folders[:] = [name for name in folders if name != "__pycache__" and name not in links]
        yield from (Path(base) / name for name in [*files, *links])


# In seconds: in all far longer than an orphan takes to notice.
_WHILE_WRITTEN = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def remove_tree(folder: Path) -> None:
    """Remove a folder although parts of it are read-only, or are still being written.

    What a killed process began may write there for a moment more.
    """
    for pause in _WHILE_WRITTEN:
        try:
            _remove_tree(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
            time.sleep(pause)
        else:
            return
    _remove_tree(folder)


def _remove_tree(folder: Path) -> None:
    if not folder.exists():
        return
    for base, _, files in os.walk(folder):
        Path(base).chmod(0o700)
        if sys.platform == "win32":  # elsewhere a read-only file can be removed
            for name in files:
                (Path(base) / name).chmod(0o600)
    shutil.rmtree(folder)


def write_whole(target: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that it is there whole or not at all. Raises StorageError."""
    with guarded(target), beside(target) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        fsync(temporary)
        temporary.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a folder, whichever is there."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def beside(target: Path, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary file in the same folder, which may be renamed to the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def sweep(target: Path, age: float = 0) -> None:
    """Remove what killed writers of a file or folder left beside it, over ``age`` seconds ago.

    Without an age it is for who knows that nobody else writes it now.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime >= age:
                remove(left)


def fsync(path: Path) -> None:
    """Have the disk hold a file's content before its name is given."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some filesystems (and Windows, for a read-only handle) cannot; the rename stays atomic.
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES):
            raise
    finally:
        os.close(handle)


@contextmanager
def guarded(where: Path) -> Iterator[None]:
    """Turn a full disk, missing rights, and a file where a folder must be into StorageError.

    Other OSErrors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk that holds {where} is full.",
                why="Nothing half-written was left behind.",
                next_step="Make room (pyodide-offline cache prune), or name another folder.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"Cannot write {_meant(error, where)}: {error.strerror}.",
                next_step=f"Give yourself write access, or {_ELSEWHERE}.",
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO):
            raise StorageError(
                f"Cannot write {_meant(error, where)}: {error.strerror}.",
                next_step=f"See what is there, or {_ELSEWHERE}.",
            ) from error
        raise


def _meant(error: OSError, where: Path) -> Path:
    """Return what could not be written: for a temporary file beside it the file itself."""
    failed = Path(error.filename) if isinstance(error.filename, str) else where
    return where if failed.name.startswith(f".{where.name}.") else failed
