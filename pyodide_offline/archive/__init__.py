"""Reading archives of others: nothing lands outside its folder, nothing is unbounded.

`files` yields what is in a tar (plain, gzip, bzip2, xz) or a zip, `unpack` writes it into a
folder, `read_members` picks single files. All of them stop at ``Bounds``. Standard library
only: ``kit.pyz`` may bring it along.
"""

from pyodide_offline.archive.bounds import Bounds
from pyodide_offline.archive.opening import File, files, read_members, unpack

__all__ = ["Bounds", "File", "files", "read_members", "unpack"]
