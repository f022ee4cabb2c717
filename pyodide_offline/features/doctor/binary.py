"""workerd's binary: may it be started here, does it start, and is its starter patched?"""

import errno
import os
import platform
import re
from pathlib import Path
from typing import Any

from pyodide_offline import process
from pyodide_offline.errors import PyodideOfflineError, ToolchainError
from pyodide_offline.features.doctor import project
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.workers import miniflare
from pyodide_offline.workers.miniflare import State
from pyodide_offline.workers.toolchain import miniflares

_GLIBC = re.compile(r"version [`'](?P<wanted>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found")
_ILLEGAL = (-4, 132)  # SIGILL, as waited for and as a shell tells it


def workerd(observed: Observed) -> Finding:
    """Start the binary for its version."""
    found = project.wrangler(observed)
    if found is None:
        return skipped("There is no workerd here yet: `run` brings it with wrangler.")
    binary = found.workerd
    evidence: dict[str, Any] = {"path": str(binary)}
    if not os.access(binary, os.X_OK):
        return failed(
            f"{binary} may not be executed.",
            "Its mode has no x: it was copied, or unpacked by a tool that loses modes.",
            f"chmod +x '{binary}'",
            blame="toolchain",
            repair="workerd-mode",
            **evidence,
        )
    try:
        said = process.capture([binary, "--version"], timeout=5)
    except ToolchainError as error:
        number = getattr(error.__cause__, "errno", None)
        return failed(f"workerd does not start: {error.what}", _why(number), blame="toolchain")
    if said.status == 0:
        return passed(f"{said.stdout.strip() or 'workerd'} starts.", **evidence)
    return failed(
        f"workerd does not start: it ends with {said.status}.",
        explained(said.status, said.stderr or said.stdout),
        blame="toolchain",
        **evidence,
    )


def explained(status: int, output: str) -> str:
    """Say what a binary's end and words mean."""
    if match := _GLIBC.search(output):
        libc = " ".join(platform.libc_ver()).strip() or "another libc"
        return f"It wants {match['wanted']}, this system has {libc}: a newer system is needed."
    if status in _ILLEGAL:
        return "An instruction that this CPU does not have: it is too old for workerd's build."
    return process.tail(output, 2) or "It prints nothing."


def _why(number: int | None) -> str:
    if number == errno.ENOEXEC:
        return f"It is not for this machine ({platform.system()} {platform.machine()})."
    if number == errno.ENOENT:
        return "Its loader is missing: it is built for glibc (musl, as in Alpine, will not do)."
    if number in (errno.EACCES, errno.EPERM):
        return "Its folder is on a disk that is mounted noexec, or a policy forbids it."
    return "It did not end, or the system refuses it."


def patched(observed: Observed) -> Finding:
    """See whether miniflare was changed: by `patch`, by hand, for which folder."""
    states: dict[str, str] = {}
    problems = []
    for one in miniflares.find(observed.session):
        for how in miniflares.recipes():
            path = one.package / how.file
            try:
                found = miniflare.recognise(path.read_text(encoding="utf-8"), how)
            except (OSError, UnicodeDecodeError, PyodideOfflineError):
                continue
            states[str(path)] = found.state.value
            if problem := _problem(observed, path, one.version, found):
                problems.append(problem)
    if problems:
        return problems[0]
    if not states:
        return skipped("There is no miniflare of the project or the user.")
    return passed(f"miniflare: {', '.join(sorted(set(states.values())))}.", files=states)


def _problem(
    observed: Observed, path: Path, version: str, found: miniflare.Finding
) -> Finding | None:
    folder = str(observed.session.cache_dir)
    if found.state is State.ORIGINAL and (before := _patched_before(observed, path, version)):
        return warned(
            f"{path} was patched in miniflare {before}, and is not in {version}.",
            "An installation has replaced it: workerd started without `run` finds no bundle.",
            f"pyodide-offline patch apply '{path}'",
            repair="patch",
            file=str(path),
        )
    if found.state is State.FOREIGN:
        return warned(
            f"{path} was changed by hand: it names workerd's cache flags.",
            "`run` sets them too, and leaves what is there. " + " ".join(found.seen[:1]),
            "npm install --force miniflare",
            file=str(path),
        )
    if found.state is State.HALF:
        return failed(
            f"{path} holds half of our patch.",
            found.reason,
            f"pyodide-offline patch apply '{path}'",
            blame="toolchain",
            repair="patch",
            file=str(path),
        )
    if found.state is State.PATCHED and found.cache_dir != folder:
        return warned(
            f"{path} is patched for another folder than this one: {found.cache_dir}.",
            f"workerd started without `run` reads there, and not from {folder}.",
            f"pyodide-offline patch apply '{path}'",
            repair="patch",
            file=str(path),
        )
    return None


def _patched_before(observed: Observed, path: Path, version: str) -> str:
    """Return the version in which a file was patched and never reverted, empty if none."""
    for entry in observed.session.store.entries():
        kept = entry.provenance
        if entry.kind == miniflares.ORIGINALS and kept.get("path") == str(path):
            if kept.get("version") == version:
                return ""
            return str(kept.get("version", "another version"))
    return ""


CHECKS = (
    Check("tool.workerd", "Does workerd start on this machine?", workerd, needs=("tool.wrangler",)),
    Check("tool.patch", "Is miniflare as its makers wrote it?", patched),
)
