"""The hosts file on disk: our lines put in, and the file given back.

A file that is bind-mounted (a container's) cannot be replaced by renaming another onto it:
it is written in place then, and that is said. The file itself is the lock between two of
us, as it is all that they surely share.
"""

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pyodide_offline.errors import StorageError
from pyodide_offline.network import hostlines
from pyodide_offline.network.hostlines import Owner

VARIABLE = "PYODIDE_OFFLINE_HOSTS_FILE"
BACKUP_SUFFIX = ".pyodide-offline.bak"
# rename(2): a mount point, another filesystem; mkstemp: a folder that one may not write to.
_IN_PLACE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL}
Say = Callable[[str], None]


def path(environ: Mapping[str, str]) -> Path:
    """Return the hosts file of this machine, or the one that the variable names."""
    if named := environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        root = environ.get("SYSTEMROOT", r"C:\Windows")
        return Path(root) / "System32" / "drivers" / "etc" / "hosts"
    return Path("/etc/hosts")


@contextmanager
def lines(file: Path, names: Sequence[str], address: str, say: Say) -> Iterator[None]:
    """Hold lines for the names in the file; take them out at the end, whatever happens.

    What processes have left that are no more is taken out too. Raises StorageError if the
    file cannot be written.
    """
    owner = myself()
    _change(file, lambda text: hostlines.add(_living(text), owner, names, address), say, names)
    try:
        yield
    finally:
        _change(file, lambda text: hostlines.remove(_living(text), lambda one: one == owner), say)


def left_behind(file: Path) -> list[Owner]:
    """Return whose lines are in the file although they are no more; reads only."""
    try:
        text = _read(file)
    except OSError:
        return []
    return [owner for owner in hostlines.owners(text) if not alive(owner)]


def take_out(file: Path, say: Say) -> list[str]:
    """Take out what processes have left that are no more; return those lines.

    Raises StorageError.
    """
    taken: list[str] = []

    def change(text: str) -> str:
        after = _living(text)
        kept = set(after.splitlines())
        taken.extend(line for line in text.splitlines() if line not in kept)
        return after

    _change(file, change, say)
    return taken


def put_back(file: Path, taken: Sequence[str], say: Say) -> None:
    """Put lines that were taken out in front again. Raises StorageError."""
    _change(file, lambda text: "".join(f"{line}\n" for line in taken) + text, say)


def myself() -> Owner:
    """Return this process as an owner of lines."""
    return Owner(os.getpid(), _began(os.getpid()))


def alive(owner: Owner) -> bool:
    """Say whether the process that has written a line still runs."""
    if owner == myself():
        return True
    if sys.platform == "win32":
        return (
            False  # os.kill ends a process there; and a wrong "no" costs a line of a second tunnel
        )
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is another user's
    began = _began(owner.pid)
    return not (began and owner.began) or began == owner.began


def _began(pid: int) -> int:
    """Return when a process began, in the kernel's ticks (proc(5), field 22); 0 unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The second field is a name in parentheses, with blanks and parentheses of its own.
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _living(text: str) -> str:
    return hostlines.remove(text, lambda one: not alive(one))


def _change(file: Path, change: Callable[[str], str], say: Say, names: Sequence[str] = ()) -> None:
    try:
        target = file.resolve(strict=True)
        with _locked(target):
            before = _read(target)
            after = change(before)
            for line in hostlines.others(after, names):
                say(f"{file} has a line of somebody else for the same name: {line}")
            if after == before:
                return
            backup = target.with_name(target.name + BACKUP_SUFFIX)
            # A rename would replace a file that nobody may write, too.
            with target.open("r+b"):
                pass
            if names:
                _back_up(backup, target, hostlines.remove(before, lambda _: True), say)
            _write(target, after, say if names else _unsaid)
            if not hostlines.owners(after) and backup.is_file() and _read(backup) == after:
                with suppress(OSError):
                    backup.unlink()
    except OSError as error:
        wanted = "".join(f" {name}" for name in names)
        raise StorageError(
            f"The hosts file {file} cannot be changed: {error.strerror}.",
            why="" if names else "Lines that end with '# pyodide-offline tunnel' are left in it.",
            next_step=f"Run it as root (sudo), or put a line in yourself and leave --hosts away: "
            f"127.0.0.1{wanted}"
            if names
            else "The next tunnel --hosts that may write there takes them out.",
        ) from error


def _unsaid(_: str) -> None:
    pass


def _read(file: Path) -> str:
    # Whatever bytes are in it come out again.
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep other tunnels away from the file, which a rename may replace while one waits."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    while True:
        handle = os.open(target, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), target.stat()):
                yield
                return
        finally:
            os.close(handle)


def _back_up(backup: Path, target: Path, text: str, say: Say) -> None:
    if backup.exists():
        return
    try:
        backup.write_bytes(_encoded(text))
        backup.chmod(target.stat().st_mode & 0o777)
    except OSError as error:
        say(f"{target} has no copy beside it: {error.strerror}.")


def _write(target: Path, text: str, say: Say) -> None:
    """Replace the file, owner and mode kept; where it cannot be replaced write into it."""
    found = target.stat()
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(_encoded(text))
            file.flush()
            if sys.platform != "win32":
                os.fchown(handle, found.st_uid, found.st_gid)
            temporary.chmod(found.st_mode & 0o7777)
            os.fsync(handle)
        temporary.replace(target)
    except OSError as error:
        if error.errno not in _IN_PLACE:
            raise
        _write_in_place(target, text)
        say(f"{target} cannot be replaced ({error.strerror}): it is written in place.")
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _write_in_place(target: Path, text: str) -> None:
    with target.open("r+b") as file:
        file.write(_encoded(text))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
