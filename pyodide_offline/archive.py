"""Reading archives of others: nothing lands outside its folder, nothing is unbounded."""

import lzma
import os
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from pyodide_offline.errors import IntegrityError

_LIMIT = 1 << 30
# tarfile lets its decompressors' own exceptions through; bz2's is an OSError without errno.
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)


def read_members(archive: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Return the named regular files of a tar archive (any compression), whole.

    Missing names are missing in the answer. Raises IntegrityError for an archive that
    cannot be read or a member over 1 GiB.
    """
    names = set(wanted)
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                if member.name not in names or not member.isreg():
                    continue
                if member.size > _LIMIT:
                    raise IntegrityError(f"{member.name} in {archive.name} is over 1 GiB.")
                content = tar.extractfile(member)
                found[member.name] = content.read() if content else b""
                if len(found) == len(names):
                    break
    except (*_DAMAGED, OSError) as error:
        raise IntegrityError(
            f"The archive {archive.name} cannot be read.", why=f"{error}."
        ) from error
    return found


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive into a folder by the rules of PEP 706's data filter.

    Raises IntegrityError; OSError of the disk passes.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                _unpack_checked(tar, folder)
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise IntegrityError(
            f"The archive {archive.name} cannot be unpacked.", why=f"{error}."
        ) from error


def _unpack_checked(tar: tarfile.TarFile, folder: Path) -> None:
    """Do what the data filter does where tarfile has none: Python 3.11 before 3.11.4.

    Debian 12 ships 3.11.2. Each member is checked when its turn comes, because links
    unpacked before it decide where it would land.
    """
    for member in tar:
        member.name = member.name.lstrip("/\\")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise tarfile.TarError(f"{member.name} is no file, folder or link")
        places = [Path(member.name)]
        if member.issym():
            places.append(Path(member.name).parent / member.linkname)
        elif member.islnk():
            places.append(Path(member.linkname))
        inside = folder.resolve()
        for place in places:
            if place.is_absolute() or not (inside / place).resolve().is_relative_to(inside):
                raise tarfile.TarError(f"{member.name} would reach outside of the folder")
        if not member.issym():
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        member.uname = member.gname = ""
        if hasattr(os, "getuid"):  # root would give the files to whom the archive names
            member.uid, member.gid = os.getuid(), os.getgid()
        tar.extract(member, folder)
