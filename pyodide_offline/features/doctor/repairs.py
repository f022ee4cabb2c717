"""What `--fix` may do, and nothing else. Each is shown before, and can be taken back.

A repair changes one thing that a check has found. What it needs to be taken back is a
record of JSON values; what cannot be taken back is no repair, only a command to type.
"""

import shlex
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import disk, process
from pyodide_offline.errors import StorageError, ToolchainError
from pyodide_offline.features.doctor.finding import Finding
from pyodide_offline.network import cafile, hosts
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT

Record = dict[str, Any]
_PROGRAM = (sys.executable, "-m", "pyodide_offline")
_KEPT = "quarantine"


@dataclass(frozen=True)
class Repair:
    """One allowed change: what it would do, doing it, taking it back.

    ``do`` returns the record for ``undo``; both raise PyodideOfflineError. What only the
    user's own shell can do is in the record as lines to ``type``.
    """

    shown: Callable[[Session, Finding], str]
    do: Callable[[Session, Finding], Record]
    undo: Callable[[Session, Record], str]


def _files(finding: Finding) -> list[Path]:
    """Return the files that a finding names: the bad ones, or the one."""
    found = finding.evidence.get("files") or finding.evidence.get("path")
    names = found if isinstance(found, Mapping) else [found]
    return [Path(str(name)) for name in names]


def _shown_quarantine(session: Session, finding: Finding) -> str:
    names = ", ".join(map(str, _files(finding)))
    return f"move {names} to {session.store.root / LAYOUT / _KEPT}"


def _quarantine(session: Session, finding: Finding) -> Record:
    moved = {}
    for path in _files(finding):
        name = f"{time.time_ns()}-{path.name}"
        place = session.store.root / LAYOUT / _KEPT / name
        with disk.guarded(place):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _move(path, place)
        moved[str(path)] = str(place)
    return {"moved": moved}


def _unquarantine(_: Session, record: Record) -> str:
    for original, place in record["moved"].items():
        path = Path(original)
        if path.exists():
            raise StorageError(
                f"{path} is there again, so the old one stays in {place}.",
                next_step=f"Remove it first, if the old one is wanted: rm '{path}'",
            )
        with disk.guarded(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _move(Path(place), path)
    return f"moved back: {', '.join(record['moved'])}"


def _move(path: Path, to: Path) -> None:
    import shutil

    # Not a rename: the folders may be on two disks.
    shutil.move(path, to)


def _mode(key: str, wanted: Callable[[int], int]) -> Repair:
    """Return the repair of a mode; ``key`` names the path in the evidence."""

    def target(finding: Finding) -> tuple[Path, int]:
        path = Path(str(finding.evidence[key]))
        return path, stat.S_IMODE(path.stat().st_mode)

    def shown(_: Session, finding: Finding) -> str:
        path, before = target(finding)
        return f"chmod {wanted(before):o} '{path}' (it is {before:o})"

    def do(_: Session, finding: Finding) -> Record:
        path, before = target(finding)
        with disk.guarded(path):
            path.chmod(wanted(before))
        return {"path": str(path), "mode": before}

    def undo(_: Session, record: Record) -> str:
        path = Path(record["path"])
        with disk.guarded(path):
            path.chmod(record["mode"])
        return f"chmod {record['mode']:o} '{path}'"

    return Repair(shown, do, undo)


def _shown_hosts(_: Session, finding: Finding) -> str:
    return f"take the lines of dead tunnels out of {finding.evidence['file']}"


def _hosts(_: Session, finding: Finding) -> Record:
    file = str(finding.evidence["file"])
    return {"file": file, "lines": hosts.take_out(Path(file), _unheard)}


def _unhosts(_: Session, record: Record) -> str:
    hosts.put_back(Path(record["file"]), record["lines"], _unheard)
    return f"{len(record['lines'])} line(s) put back into {record['file']}"


def _unheard(_: str) -> None:
    pass


def _shown_patch(_: Session, finding: Finding) -> str:
    return f"pyodide-offline patch apply '{finding.evidence['file']}'"


def _patch(session: Session, finding: Finding) -> Record:
    path = Path(str(finding.evidence["file"]))
    kept = session.store.root / LAYOUT / _KEPT / f"{time.time_ns()}-{path.name}"
    disk.write_whole(kept, path.read_bytes())
    _own(session, "patch", "apply", str(path))
    return {"file": str(path), "kept": str(kept)}


def _unpatch(_: Session, record: Record) -> str:
    path = Path(record["file"])
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
    disk.write_whole(path, Path(record["kept"]).read_bytes(), mode)
    return f"{path} is as it was"


def _shown_toolchain(_: Session, __: Finding) -> str:
    return "pyodide-offline toolchain install (a fit Node.js and wrangler, into the store only)"


def _toolchain(session: Session, _: Finding) -> Record:
    before = {(one.kind, one.name) for one in session.store.entries()}
    _own(session, "toolchain", "install")
    after = {(one.kind, one.name) for one in session.store.entries()}
    return {"entries": sorted(after - before)}


def _untoolchain(session: Session, record: Record) -> str:
    for kind, name in record["entries"]:
        if entry := session.store.find(kind, name):
            session.store.remove(entry)
    return f"{len(record['entries'])} program(s) removed from the store"


def _shown_bypass(_: Session, finding: Finding) -> str:
    return f"print the line for your shell: {finding.fix}"


def _bypass(_: Session, finding: Finding) -> Record:
    return {"type": [finding.fix]}


def _shown_authorities(session: Session, _: Finding) -> str:
    place = session.store.root / LAYOUT / cafile.FOLDER
    return f"make one CA file of the system's and yours in {place}, and print its lines"


def _authorities(session: Session, _: Finding) -> Record:
    made = cafile.environment(session.store, session.environ, _unheard)
    file = made.get(cafile.VARIABLES[0], "")
    if file == session.environ.get(cafile.VARIABLES[0], ""):
        raise StorageError(
            "No CA file can be made: what is named holds no certificate that can be used.",
            next_step="Name the CA's file: pyodide-offline run --ca FILE -- …",
        )
    return {"type": [f"export {name}={shlex.quote(file)}" for name in cafile.VARIABLES]}


def _untyped(_: Session, record: Record) -> str:
    names = " ".join(line.split()[1].partition("=")[0] for line in record["type"])
    return f"nothing was changed here; in your shell: unset {names}"


def _own(session: Session, *words: str) -> None:
    """Run a command of our own, in the project. Raises ToolchainError with its last words."""
    folders = {
        "PYODIDE_OFFLINE_STORE_DIR": str(session.store.root),
        "PYODIDE_OFFLINE_CACHE_DIR": str(session.cache_dir),
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    done = process.capture(
        [*_PROGRAM, *words], env={**session.environ, **folders}, cwd=session.project, timeout=1800
    )
    if done.status != 0:
        raise ToolchainError(
            f"pyodide-offline {words[0]} {words[1]} failed with {done.status}.",
            why=process.tail(done.stderr or done.stdout, 2),
        )


REPAIRS: Mapping[str, Repair] = {
    "quarantine": Repair(_shown_quarantine, _quarantine, _unquarantine),
    "store": Repair(_shown_quarantine, _quarantine, _unquarantine),
    "cache-mode": _mode("folder", lambda _: 0o700),
    "workerd-mode": _mode("path", lambda mode: mode | 0o111),
    "hosts-lines": Repair(_shown_hosts, _hosts, _unhosts),
    "patch": Repair(_shown_patch, _patch, _unpatch),
    "toolchain": Repair(_shown_toolchain, _toolchain, _untoolchain),
    "no-proxy": Repair(_shown_bypass, _bypass, _untyped),
    "merged-ca": Repair(_shown_authorities, _authorities, _untyped),
}
