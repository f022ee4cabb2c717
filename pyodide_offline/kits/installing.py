"""One archive of a kit into a folder, as npm and pip would have laid it out.

Standard library only: part of ``kit.pyz``. The archive's digest is compared before a byte
of it is opened. Nothing of it is run, and a file is never written over: where two archives
bring the same one, an installer has to say which holds. The folder is one that nobody uses yet.
"""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import archive
from pyodide_offline.errors import IntegrityError

NPM, WHEEL = "npm", "wheel"
INSTALLER = b"pyodide-offline\n"
# What a pure wheel cannot have.
COMPILED = (".so", ".pyd", ".dylib", ".c", ".h", ".pyx", ".pxd")
_MARKER = b"#!python"


class Clash(Exception):  # noqa: N818 - a reason to go another way, told to nobody
    """Two archives bring the same file."""


@dataclass(frozen=True)
class Job:
    """An archive to install: where it lies, its SHA-256 in hex, its form, and into what.

    ``only`` names the files and folders (with a ``/`` at the end) that are wanted, all if
    empty. ``pure`` leaves out what is compiled. With ``python``, a path, a wheel's commands
    are made in ``scripts``, for that Python.
    """

    archive: str
    sha256: str
    form: str
    target: str
    only: tuple[str, ...] = ()
    pure: bool = False
    scripts: str = ""
    python: str = ""


@dataclass(frozen=True)
class Written:
    """A file that was written: its identity on the disk, and the SHA-256 of its content."""

    inode: int
    size: int
    mtime_ns: int
    sha256: str


def install(job: Job, going_on: Callable[[], None] = lambda: None) -> list[Written]:
    """Do a job. ``going_on`` is called between pieces, and may raise.

    Raises IntegrityError for the archive, Clash where a file is there already; OSError of
    the disk passes.
    """
    source = Path(job.archive)
    with source.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != job.sha256:
            raise IntegrityError(
                f"{source.name} in the store of kits is damaged.",
                why=f"It no longer has the digest {job.sha256}.",
                next_step="Unpack the kit again: kit unpack FILE",
            )
    writer = _Writer(Path(job.target), going_on)
    if job.form == WHEEL:
        _wheel(job, writer)
        return writer.written
    for file in archive.files(source):
        # By npm's rule the first folder may have any name.
        name = file.name.partition("/")[2]
        if name and _wanted(job, name):
            writer.write(name, file.chunks(), executable=file.executable)
    return writer.written


def _wanted(job: Job, name: str) -> bool:
    if job.pure and name.endswith(COMPILED):
        return False
    return not job.only or any(
        name == one or (one.endswith("/") and name.startswith(one)) for one in job.only
    )


def _wheel(job: Job, writer: "_Writer") -> None:
    """Lay out a wheel by its own rules (Binary distribution format, "Recommended installer")."""
    small: dict[str, bytes] = {}
    added: list[str] = []
    for file in archive.files(Path(job.archive)):
        place = _place(file.name) if _wanted(job, file.name) else None
        if place is None:
            continue
        if place.startswith("bin/"):
            data = file.read()
            if data.startswith(_MARKER) and job.python:
                data = _script(job.python) + data.partition(b"\n")[2]
            _command(job, writer, place.removeprefix("bin/"), data)
        elif file.name.endswith((".dist-info/RECORD", ".dist-info/entry_points.txt")):
            small[file.name] = file.read()
        else:
            writer.write(place, file.chunks(), executable=file.executable)
    record = next((name for name in small if name.endswith("/RECORD")), None)
    if record is None:
        if job.only:
            return
        raise IntegrityError(f"The wheel {Path(job.archive).name} has no RECORD.")
    info = record.removesuffix("RECORD")
    points = small.get(f"{info}entry_points.txt")
    if points is not None:
        writer.write(f"{info}entry_points.txt", [points])
        if job.python:
            for name, function in _entry_points(points):
                _command(job, writer, name, _script(job.python) + _call(function))
                added.append(os.path.relpath(Path(job.scripts) / name, job.target))
    writer.write(f"{info}INSTALLER", [INSTALLER])
    added.append(f"{info}INSTALLER")
    lines = small[record].decode().splitlines()
    if job.pure:
        lines = [line for line in lines if _wanted(job, next(csv.reader([line]))[0])]
    whole = "\n".join([*lines, *(f"{_quoted(name)},," for name in added), ""])
    writer.write(record, [whole.encode()])


def _place(name: str) -> str | None:
    """Return where a wheel's file belongs; commands in ``bin/``, headers and data nowhere."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        # What an installer of somebody else's has left in it is not ours.
        return None if name.endswith(".dist-info/INSTALLER") else name
    kind, _, inside = rest.partition("/")
    if kind in ("purelib", "platlib"):
        return inside
    return f"bin/{inside}" if kind == "scripts" else None


def _command(job: Job, writer: "_Writer", name: str, data: bytes) -> None:
    folder = Path(job.scripts) if job.scripts else Path(job.target) / "bin"
    _Writer(folder, writer.going_on, writer.written).write(name, [data], executable=True)


def _entry_points(text: bytes) -> Iterator[tuple[str, str]]:
    import configparser

    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text.decode())
    except (configparser.Error, UnicodeDecodeError):
        return
    if not parser.has_section("console_scripts"):
        return
    for name, function in parser.items("console_scripts"):
        function = function.partition("[")[0].strip()
        parts = function.replace(":", ".").split(".")
        plain = all(part.isidentifier() for part in parts) and function.count(":") == 1
        if plain and name == os.path.basename(name) and name.isprintable():  # noqa: PTH119
            yield name, function


def _script(python: str) -> bytes:
    """Return a first line; a shebang can hold neither blanks nor much, so a shell is asked."""
    if " " in python or len(python) > 120:
        escaped = python.replace('"', '\\"')
        return f"#!/bin/sh\n'''exec' \"{escaped}\" \"$0\" \"$@\"\n' '''\n".encode()
    return f"#!{python}\n".encode()


def _call(function: str) -> bytes:
    module, _, name = function.partition(":")
    first = name.partition(".")[0]
    return (
        f"import sys\nfrom {module} import {first}\n"
        f'if __name__ == "__main__":\n    sys.exit({name}())\n'
    ).encode()


def _quoted(name: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([name])
    return line.getvalue()


class _Writer:
    """Writes new files below a folder and keeps what they are."""

    def __init__(
        self, folder: Path, going_on: Callable[[], None], written: list[Written] | None = None
    ) -> None:
        self._folder = str(folder)
        self._made: set[str] = set()
        self.going_on = going_on
        self.written: list[Written] = [] if written is None else written

    def write(
        self, name: str, chunks: Iterable[bytes | memoryview], *, executable: bool = False
    ) -> None:
        path = f"{self._folder}/{name}"
        parent = path.rpartition("/")[0]
        if parent not in self._made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - thousands of times
            self._made.add(parent)
        total, size = hashlib.sha256(), 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            file = os.open(path, flags, 0o755 if executable else 0o644)
        except FileExistsError as error:
            raise Clash(name) from error
        try:
            for chunk in chunks:
                self.going_on()
                total.update(chunk)
                size += len(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(file, rest) :]
            found = os.fstat(file)
        finally:
            os.close(file)
        self.written.append(Written(found.st_ino, size, found.st_mtime_ns, total.hexdigest()))
