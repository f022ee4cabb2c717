"""The folder of packages that older releases of workerd read at each start.

Up to June 2026 they download parts of Python's standard library (ssl, sqlite3, lzma and
their like) before any worker runs, and do not start without them. npm has none of these;
an empty archive in the place of each lets the rest run. workerd reads them under their
plain names, though it writes under longer ones, and checks no digest.
"""

import io
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGES_FLAG = "--pyodide-package-disk-cache-dir="
_GZIP = 31  # zlib's wbits for the gzip format: no time in its head, so always the same bytes


@cache
def empty_archive() -> bytes:
    """Return an empty tar.gz."""
    import tarfile  # costs a start some milliseconds, and most need none

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w"):
        pass
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(plain.getvalue()) + packer.flush()


def fill_packages(folder: Path, archives: Iterable[str]) -> None:
    """Put empty archives where none are, and mend those that are something else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in archives:
        target = folder / name
        if not target.is_file() or target.read_bytes() != empty_archive():
            target.write_bytes(empty_archive())
