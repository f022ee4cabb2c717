"""Reading archives of others: nothing lands outside its folder, nothing is unbounded."""

import tarfile
from collections.abc import Iterable
from pathlib import Path

from pyodide_offline.errors import IntegrityError

_LIMIT = 1 << 30


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
    except (tarfile.TarError, EOFError, OSError) as error:
        raise IntegrityError(
            f"The archive {archive.name} cannot be read.", why=f"{error}."
        ) from error
    return found


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive into a folder; tarfile's data filter keeps it inside (PEP 706).

    Raises IntegrityError.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise IntegrityError(
            f"The archive {archive.name} cannot be unpacked.", why=f"{error}."
        ) from error
