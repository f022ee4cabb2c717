"""The folder that workerd reads, and the store: usable, private, with room, with good files."""

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

from pyodide_offline import digest as digests
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.doctor import project
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.workers import supply

_FULL = 32 << 20  # bytes: no bundle fits any more
_TIGHT = 512 << 20  # bytes: a bundle does, Node and wrangler do not
# A bundle is a Cap'n Proto message of some megabytes: a smaller file is a page or a stub.
_SMALLEST = 1 << 16


def cache(observed: Observed) -> Finding:
    """See whether workerd's folder may be used: what is in it is run."""
    folder = observed.session.cache_dir
    evidence: dict[str, Any] = {"folder": str(folder)}
    elsewhere = "pyodide-offline run --cache-dir ~/.cache/pyodide-bundles -- pywrangler dev"
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return _makeable(folder, evidence, elsewhere)
    except OSError as error:
        summary = f"The cache folder {folder} cannot be seen: {error.strerror}."
        return failed(summary, fix=elsewhere, blame="cache", **evidence)
    evidence["mode"] = f"{stat.S_IMODE(found.st_mode):04o}"
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a file"
        summary = f"The cache folder {folder} is {what}."
        return failed(summary, "It is not followed.", elsewhere, blame="cache", **evidence)
    if sys.platform == "win32":
        return passed(f"{folder} is there.", **evidence)
    if found.st_uid != os.getuid():
        return failed(
            f"The cache folder {folder} belongs to another user (uid {found.st_uid}).",
            "workerd would run code that this user can change.",
            elsewhere,
            blame="cache",
            **evidence,
        )
    if found.st_mode & 0o022:
        return failed(
            f"The cache folder {folder} can be written by others (mode {evidence['mode']}).",
            "workerd would run code that they can change.",
            f"chmod 700 '{folder}'",
            blame="cache",
            repair="cache-mode",
            **evidence,
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return failed(
            f"The cache folder {folder} cannot be written (mode {evidence['mode']}).",
            fix=f"chmod 700 '{folder}'",
            blame="cache",
            repair="cache-mode",
            **evidence,
        )
    return passed(f"{folder} is private and can be written.", **evidence)


def _makeable(folder: Path, evidence: dict[str, Any], elsewhere: str) -> Finding:
    above = next(one for one in folder.parents if one.exists())
    if os.access(above, os.W_OK | os.X_OK) and above.is_dir():
        return passed(f"{folder} is not there yet: the first start makes it.", **evidence)
    return failed(
        f"The cache folder {folder} is not there and cannot be made: {above} is not writable.",
        fix=elsewhere,
        blame="cache",
        **evidence,
    )


def content(observed: Observed) -> Finding:
    """Read the bundles in the cache folder: a bad one stops every start of workerd."""
    folder = observed.session.cache_dir
    files = sorted(folder.glob("**/pyodide_*.capnp.bin"))
    if not files:
        return skipped("No bundle lies in the cache folder.")
    bad = {str(path): reason for path in files if (reason := _fault(observed, path))}
    if bad:
        first, reason = next(iter(bad.items()))
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return failed(
            f"{first} is not a bundle: {reason}{more}.",
            "workerd ends over it at every start, and never replaces it.",
            "pyodide-offline doctor --fix --check cache",
            blame="cache",
            repair="quarantine",
            files=bad,
        )
    return passed(f"{len(files)} bundle(s) in the cache folder, none of them bad.")


def _fault(observed: Observed, path: Path) -> str:
    """Say what is wrong with a file in the cache folder; empty where it cannot be told."""
    try:
        found = path.stat()
        if found.st_size < _SMALLEST:
            return f"it has {found.st_size} bytes"
        with path.open("rb") as file:
            head = file.read(512)
        if head.lstrip()[:1] == b"<":
            return "it is a page of HTML"
        if not any(head):
            return "it begins with zeros only"
        wanted = _wanted(observed, path)
        if wanted and digests.of_file(path) not in wanted:
            return "it has another digest than it must have"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def _wanted(observed: Observed, path: Path) -> set[digests.Digest]:
    """Return the digests that would be right, none where nobody knows."""
    session = observed.session
    if path.parent != session.cache_dir:
        # A folder that `run` has made is called by its one bundle's digest.
        short = path.parent.name.removeprefix("dev-")
        entries = (one for one in session.store.entries() if one.kind == supply.KIND)
        return {one.digest for one in entries if one.digest.short == short}
    try:
        want = project.want(observed)
    except PyodideOfflineError:
        return set()
    fits = want is not None and want.file_name == path.name and want.digest
    return {want.digest} if want and want.digest and fits else set()


def store(observed: Observed) -> Finding:
    """See whether the store can be written and has room."""
    root = observed.session.store.root
    above = next(one for one in (root, *root.parents) if one.exists())
    free = shutil.disk_usage(above).free
    evidence: dict[str, Any] = {"folder": str(root), "free_bytes": free}
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return failed(
            f"The store {root} cannot be written: {above} is not writable.",
            fix="export PYODIDE_OFFLINE_STORE_DIR=$HOME/pyodide-store",
            blame="cache",
            **evidence,
        )
    if free < _FULL:
        summary = f"The disk that holds {root} is full ({free >> 20} MB free)."
        return failed(summary, fix="pyodide-offline cache prune", blame="cache", **evidence)
    if free < _TIGHT:
        summary = f"The disk that holds {root} has only {free >> 20} MB free."
        return warned(summary, fix="pyodide-offline cache prune", **evidence)
    return passed(f"{root}: {free >> 20} MB free.", **evidence)


CHECKS = (
    Check("cache.folder", "May workerd's folder be used?", cache),
    Check("cache.content", "Are the bundles in it good?", content, after=("cache.folder",)),
    Check("cache.store", "Can the store be written, and has it room?", store),
)
