"""Which names an archive may give to files, and no two of them alike. Pure.

A name is taken only if it means the same file on Linux, macOS and Windows: relative,
without ``..``, and told from every other one by more than upper and lower case.
"""

import sys
import unicodedata

from pyodide_offline.archive.bounds import Refused

_LONGEST, _DEEPEST = 4096, 64
# What Windows reads otherwise: a drive or a stream, a device.
_WINDOWS = set(':*?"<>|')
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{name}{n}" for name in ("com", "lpt") for n in "123456789"),
}


class Names:
    """The names of one archive so far."""

    def __init__(self, *, windows: bool = sys.platform == "win32") -> None:
        self._windows = windows
        self._folders: dict[str, str] = {}
        self._files: dict[str, str] = {}

    def file(self, name: str) -> str:
        """Return a file's name, tidied. Raises Refused."""
        found = self._plain(name)
        self._within(found.rpartition("/")[0])
        key = _folded(found)
        if other := self._files.get(key) or self._folders.get(key):
            raise Refused(_clash(found, other))
        self._files[key] = found
        return found

    def folder(self, name: str) -> str:
        """Return a folder's name, tidied; one may come again. Raises Refused."""
        found = self._plain(name.rstrip("/"), empty=True)
        self._within(found)
        return found

    def _within(self, folder: str) -> None:
        while folder:
            key = _folded(folder)
            if self._folders.get(key) == folder:
                return
            if other := self._folders.get(key) or self._files.get(key):
                raise Refused(_clash(folder, other))
            self._folders[key] = folder
            folder = folder.rpartition("/")[0]

    def _plain(self, name: str, *, empty: bool = False) -> str:
        shown = repr(name[:200])
        if name.startswith("/"):
            raise Refused(f"{shown} is an absolute path")
        if "\\" in name or not name.isprintable():
            raise Refused(f"{shown} has a character that no file name has everywhere")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise Refused(f"{shown} leads out of its folder")
        if not parts and not empty:
            raise Refused(f"{shown} is no file name")
        if len(parts) > _DEEPEST or len(name) > _LONGEST or any(len(one) > 255 for one in parts):
            raise Refused(f"{shown} is too long")
        if self._windows and any(map(_strange, parts)):
            raise Refused(f"{shown} cannot be a file's name on Windows")
        return "/".join(parts)


def _folded(name: str) -> str:
    """Return what a disk that ignores case, or Unicode's forms, makes of a name."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _clash(name: str, other: str) -> str:
    if name == other:
        return f"{name!r} is twice in it"
    return f"{name!r} and {other!r} differ in case only"


def _strange(part: str) -> bool:
    stem = part.partition(".")[0].rstrip(" ").lower()
    return bool(set(part) & _WINDOWS) or part.endswith((".", " ")) or stem in _DEVICES
