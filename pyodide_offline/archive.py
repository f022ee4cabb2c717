"""Reading archives of others: nothing lands outside its folder, nothing is unbounded."""

import lzma
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
    """Unpack a tar archive into a folder; tarfile's data filter keeps it inside (PEP 706).

    Raises IntegrityError; OSError of the disk passes.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            tar.extractall(folder, filter="data")
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise IntegrityError(
            f"The archive {archive.name} cannot be unpacked.", why=f"{error}."
        ) from error
