"""miniflare's files patched and given back, for those who cannot set a variable.

Each file on its own: one that is refused spares the rest. A file is never written into,
since pnpm, Bun and Yarn share its content between projects by hard links: the new text is
written beside, checked by Node, and takes the name. The original is kept in the store.
"""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import disk, paths, process
from pyodide_offline.errors import (
    PyodideOfflineError,
    StorageError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers import miniflare, packages, probe, project, supply
from pyodide_offline.workers.miniflare import Finding, Recipe, State
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import miniflares, node, programs, wrangler

KIND = miniflares.ORIGINALS


@dataclass(frozen=True)
class Status:
    """One miniflare's file: where, which version, what it is."""

    path: Path
    version: str
    finding: Finding


@dataclass(frozen=True)
class Outcome:
    """What was done to one file, in a word or two, or why it was left as it is."""

    status: Status
    did: str
    error: PyodideOfflineError | None = None


def status(session: Session, named: Sequence[Path] = ()) -> list[Status]:
    """Return the state of each file. Raises ToolchainError for a name without a miniflare."""
    return [one for one, _ in _found(session, named)]


def apply(session: Session, named: Sequence[Path] = (), *, check: bool = True) -> list[Outcome]:
    """Patch each file for the session's cache folder, which is made.

    ``check`` has Node parse the new text first. Raises ToolchainError if nothing is found
    or Node is missing, StorageError for the cache folder.
    """
    folder = str(paths.private_dir(session.cache_dir))

    def new(found: Status, how: Recipe) -> tuple[str, str]:
        finding = found.finding
        if finding.state is State.PATCHED and finding.cache_dir == folder:
            return "is patched already", ""
        original = _original(session, found, how)
        word = {State.PATCHED: "patched for another folder", State.HALF: "mended and patched"}
        return word.get(finding.state, "patched"), miniflare.apply(original, how, folder)

    return _each(session, named, new, check=check)


def revert(session: Session, named: Sequence[Path] = (), *, check: bool = True) -> list[Outcome]:
    """Give each file its own text back, byte for byte. Raises like ``apply``."""

    def new(found: Status, how: Recipe) -> tuple[str, str]:
        if found.finding.state is State.ORIGINAL:
            return "is as its makers wrote it: nothing to do", ""
        original = _original(session, found, how)
        if found.finding.state is State.PATCHED and not found.finding.proven:
            return "lost our lines, and keeps what else was changed in it", original
        return "is again as its makers wrote it", original

    outcomes = _each(session, named, new, check=check)
    _forget(session, [one.status.path for one in outcomes if one.error is None])
    return outcomes


def _forget(session: Session, reverted: Sequence[Path]) -> None:
    """Drop the originals that nobody needs any more; `doctor` takes them for a wish."""
    paths = set(map(str, reverted))
    for entry in session.store.entries():
        if entry.kind == KIND and entry.provenance.get("path") in paths:
            session.store.remove(entry)


def diff(session: Session, named: Sequence[Path] = ()) -> list[str]:
    """Return a unified diff for each file: what was done to it, or what ``apply`` would do."""
    shown = []
    for found, how in _found(session, named):
        with suppress(PyodideOfflineError):  # status says why nothing can be done there
            before = after = _text(found.path)
            if found.finding.state is State.PATCHED:
                before = found.finding.stripped
            else:
                original = _original(session, found, how)
                after = miniflare.apply(original, how, str(session.cache_dir))
            shown.append(miniflare.diff(before, after, found.path.as_posix()))
    return shown


def advice(session: Session) -> str:
    """Say what a patched miniflare will find, for the project's own worker if it has one.

    A bundle in the store that goes under the official id is put where workerd looks. Makes
    no request.
    """
    general = (
        f"workerd now reads bundles from {session.cache_dir}; one assembled from npm under the "
        "development id needs the shim of: pyodide-offline run"
    )
    try:
        worker = project.read(session.project)
        own = wrangler.find(session)
        if not worker.is_python or own is None:
            return general
        want = probe.want(session.store, own.workerd, worker.date, worker.flags)
        supplied = supply.find(session, want)
        if supplied and supplied.bundle_id == want.bundle_id:
            _bring(session, want, supplied)
    except (PyodideOfflineError, OSError):
        return general
    file = session.cache_dir / want.file_name
    if file.is_file() and want.digest in (None, digests.of_file(file)):
        return f"This worker's bundle, {want.file_name}, lies in {session.cache_dir}."
    if supplied:
        return (
            f"This worker's bundle {want.bundle_id} is here only as assembled from npm, which a "
            "patched miniflare cannot use: type pyodide-offline run -- wrangler dev instead."
        )
    return (
        f"This worker needs {want.file_name} in {session.cache_dir}: workerd downloads it once, "
        "or bring it; where it cannot be had: pyodide-offline run -- wrangler dev"
    )


def _bring(session: Session, want: Want, supplied: Supplied) -> None:
    """Put the bundle where workerd looks, and what its release must find beside it.

    Nothing that cannot be judged is replaced: it may be the official one, brought by hand.
    """
    target = session.cache_dir / want.file_name
    if want.digest is None and target.exists() and not _same(target, supplied.entry):
        return
    session.store.place(supplied.entry, target)
    for name in supplied.archives:
        if not (session.cache_dir / name).exists():
            disk.write_whole(session.cache_dir / name, packages.empty_archive())


def _same(file: Path, entry: Entry) -> bool:
    return digests.of_file(file, entry.digest.algorithm) == entry.digest


def _found(session: Session, named: Sequence[Path]) -> list[tuple[Status, Recipe]]:
    pairs = []
    for installed in miniflares.find(session, named):
        for how in miniflares.recipes():
            # Not resolved: where the file is a link into a shared store, the link is replaced.
            path = installed.package / how.file
            try:
                finding = miniflare.recognise(_text(path), how)
            except PyodideOfflineError as error:
                finding = Finding(State.UNKNOWN, error.what)
            pairs.append((Status(path, installed.version, finding), how))
    return pairs


def _each(
    session: Session,
    named: Sequence[Path],
    new: Callable[[Status, Recipe], tuple[str, str]],
    *,
    check: bool,
) -> list[Outcome]:
    pairs = _found(session, named)
    if not pairs:
        raise ToolchainError(
            f"No miniflare was found in {session.project}, above it, or for the whole user.",
            next_step="Install wrangler first (npm install wrangler), or name its folder.",
        )
    checker = _node(session) if check else None
    outcomes = []
    with session.store.exclusive("patch"):
        for found, how in pairs:
            try:
                did, text = new(found, how)
                if text:
                    _write(session, found, text, checker)
            except PyodideOfflineError as error:
                outcomes.append(Outcome(found, "left as it is", error))
            else:
                outcomes.append(Outcome(found, did))
    return outcomes


def _original(session: Session, found: Status, how: Recipe) -> str:
    """Return the text as its makers wrote it. Raises UnsupportedError if that is not known."""
    finding = found.finding
    if finding.proven or finding.state is State.PATCHED:
        return finding.stripped
    if finding.state is State.HALF:
        for entry in session.store.entries():
            if entry.kind == KIND and _belongs(entry, found) and session.store.intact(entry):
                text = entry.path.read_bytes().decode()
                if miniflare.recognise(text, how).state is State.ORIGINAL:
                    return text
    steps = {
        State.FOREIGN: "Undo that patch, or install miniflare again: npm install",
        State.HALF: "Install miniflare again: npm install",
    }
    raise UnsupportedError(
        f"{found.path} (miniflare {found.version or 'of unknown version'}) is not touched.",
        why=finding.reason,
        next_step=steps.get(finding.state, "Use pyodide-offline run, which patches nothing."),
    )


def _belongs(entry: Entry, found: Status) -> bool:
    if entry.digest.hex in found.finding.claimed:
        return True
    kept = entry.provenance
    return not found.finding.claimed and (kept.get("path"), kept.get("version")) == (
        str(found.path),
        found.version,
    )


def _write(session: Session, found: Status, text: str, checker: Path | None) -> None:
    before = found.path.stat()
    if found.finding.state is State.ORIGINAL:
        _keep(session, found)
    try:
        with disk.beside(found.path, suffix=found.path.suffix) as temporary:
            temporary.write_bytes(text.encode())
            if checker:
                _must_parse(session, checker, temporary, found)
            temporary.chmod(stat.S_IMODE(before.st_mode))
            if hasattr(os, "chown"):
                with suppress(OSError):  # only root may, and only root has another's files here
                    os.chown(temporary, before.st_uid, before.st_gid)
            disk.fsync(temporary)
            temporary.replace(found.path)
    except OSError as error:
        raise StorageError(
            f"Cannot write {found.path}: {error.strerror}.",
            next_step="Give yourself write access to that folder, or name other ones.",
        ) from error


def _keep(session: Session, found: Status) -> None:
    content = found.path.read_bytes()
    digest = digests.of_bytes(content)
    place = digests.of_bytes(str(found.path).encode()).short

    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(content)
        return {"path": str(found.path), "version": found.version}

    session.store.fill(KIND, f"{place}-{digest.short}", produce, expected=digest, replace=True)


def _must_parse(session: Session, checker: Path, file: Path, found: Status) -> None:
    environ = {k: v for k, v in session.environ.items() if k != "NODE_OPTIONS"}
    done = process.capture([checker, "--check", file], env=environ, timeout=120)
    if done.status != 0:
        raise UnsupportedError(
            f"{found.path} would not parse with the change, so it was not made.",
            why=process.tail(done.stderr.replace(str(file), found.path.name), 3),
            next_step="Use pyodide-offline run, which patches nothing.",
        )


def _node(session: Session) -> Path:
    if own := programs.which("node", session.environ):
        return own
    if stored := node.find(session, "*"):
        return stored.executable
    raise ToolchainError(
        "Node.js is not here, so nothing can check that the changed script still parses.",
        next_step="Put Node.js on PATH, or go on without that check: --no-check",
    )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnsupportedError(f"{path} is not UTF-8.") from error
