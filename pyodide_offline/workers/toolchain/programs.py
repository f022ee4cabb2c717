"""Programs on this machine: where they are, and which version without starting them twice."""

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pyodide_offline import digest, disk, process
from pyodide_offline.errors import StorageError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT

_MEMO = "program-version"
# How pip, npm and uv, which pass on what the system says, tell of a full disk or quota.
_FULL = ("ENOSPC", "EDQUOT", "No space left on device", "Disk quota exceeded", "os error 28")


def which(name: str, environ: Mapping[str, str]) -> Path | None:
    """Return the program of this name on the environment's PATH."""
    found = shutil.which(name, path=environ.get("PATH", ""))
    return Path(found).absolute() if found else None


def version(session: Session, program: Path) -> str | None:
    """Return ``1.2.3`` as the program prints it for ``--version``; None if it does not.

    Remembered for as long as the file stays the same. A script may be a version manager's
    stand-in, whose answer depends on the folder and on variables: that is asked each time.
    """
    key = _key(program)
    if key and isinstance(known := session.store.memo(_MEMO, key), str):
        return known
    try:
        done = process.capture(
            [program, "--version"], env=session.environ, cwd=_folder(session), timeout=20
        )
    except ToolchainError:
        return None
    match = re.search(r"(?<![\d.])\d+\.\d+\.\d+", done.stdout)
    if done.status != 0 or not match:
        return None
    if key:
        session.store.remember(_MEMO, key, match[0])
    return match[0]


def script(session: Session, name: str, text: str) -> Path:
    """Return an executable script of this name and text, written if it is not there.

    In a folder of its own, named by the text: what is running is never changed.
    """
    path = session.store.root / LAYOUT / "bin" / digest.of_bytes(text.encode()).short / name
    with suppress(OSError):
        if path.read_text() == text:
            return path
    disk.write_whole(path, text.encode(), mode=0o755)
    return path


def refuse_full_disk(output: str, where: Path) -> None:
    """Raise StorageError if a program's output says that it failed for want of room."""
    if any(sign in output for sign in _FULL):
        raise StorageError(
            f"A disk is full: the one that holds {where}, or a cache of the tool's own.",
            why="Nothing half-written was left behind in the store.",
            next_step="Make room (pyodide-offline cache prune), or name another folder.",
        )


def _folder(session: Session) -> Path | None:
    return session.project if session.project.is_dir() else None


def _key(program: Path) -> str | None:
    try:
        real = program.resolve(strict=True)
        with real.open("rb") as file:
            if real.stem != program.stem or file.read(2) == b"#!":
                return None
        found = real.stat()
    except OSError:
        return None
    text = f"{real}\n{found.st_size}\n{found.st_mtime_ns}\n{found.st_ino}"
    return digest.of_bytes(text.encode()).hex
