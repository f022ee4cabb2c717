"""The wheels of a folder: resolved, told apart, and what no index has named.

- ``pure`` and ``wasm`` come from the user's Python index.
- ``fallback`` are pure wheels made here of packages whose compiled part is optional.
- ``full`` are only in Pyodide's full folder: taken from there if the user has one.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from pyodide_offline import archive, digest
from pyodide_offline.distribution import lockfile, resolver, wheels
from pyodide_offline.distribution.lockfile import Lock, Package
from pyodide_offline.distribution.resolver import NoWheelError
from pyodide_offline.distribution.wheels import Wheel
from pyodide_offline.errors import (
    IntegrityError,
    OfflineError,
    ProjectError,
    PyodideOfflineError,
)
from pyodide_offline.features.browser.spec import Spec
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import Entry, Provenance
from pyodide_offline.workers.toolchain import fallback

KIND = "browser-wheels"
FALLBACK_KIND = "browser-fallback"
PURE, WASM, FALLBACK, FULL = "pure", "wasm", "fallback", "full"
# Native platforms and Pythons whose wheel may lend its Python files, in the order of trial.
_NATIVE = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_LENDERS = ("", "3.13", "3.12", "3.11")
_ROUNDS = 20
# Kinds of a lock's entries that a page loads by name; libraries come with who needs them.
_MODULE = "cpython_module"
LOADED = ("package", _MODULE)
# Modules of Python's own that nothing in a page imports.
_NEEDLESS = {"test", "pydoc-data"}


@dataclass(frozen=True)
class Item:
    """One package. ``path`` is its file, None for one that is missing."""

    package: Package
    kind: str
    path: Path | None

    @property
    def size(self) -> int:
        """Bytes of its file, 0 where it is missing."""
        return self.path.stat().st_size if self.path else 0


def collect(
    session: Session,
    lock: Lock,
    spec: Spec,
    *,
    exclude: Iterable[str] = (),
    full_dir: Path | None = None,
) -> list[Item]:
    """Return all packages that a spec needs, sorted by name; the missing ones without a file.

    Raises ProjectError, NetworkError, OfflineError, IntegrityError.
    """
    entry = _resolved(session, lock, spec)
    left_out = {canonicalize_name(name) for name in exclude}
    found = [wheels.read(path) for path in sorted(entry.path.glob("*.whl"))]
    found = [one for one in found if one.name not in left_out]
    _check(spec, found)
    made = set(entry.provenance["fallback"])
    present = {one.name for one in found}
    full = [one.name for one in found if one.standin]
    # Shared libraries are in no index; whoever needs one is of the full folder too.
    # So are parts of Python itself, in releases that have them apart.
    modules = [one.name for one in lock.packages.values() if one.kind == _MODULE]
    wanted = lockfile.closure(lock, [*full, *(set(modules) - _NEEDLESS)])
    items = [_full(one, full_dir) for one in wanted if one.kind != "package" or one.name in full]
    for wheel in found:
        if wheel.standin:
            continue
        kind = FALLBACK if wheel.path.name in made else PURE if wheel.pure else WASM
        package = Package(
            wheel.name,
            wheel.version,
            wheel.path.name,
            wheel.sha256,
            wheels.depends(wheel, lock.target, present),
            wheel.imports,
        )
        items.append(Item(package, kind, wheel.path))
    return sorted(items, key=lambda one: one.package.name)


def refuse_missing(items: Sequence[Item]) -> None:
    """Raise ProjectError with the name of each package that has no file."""
    missing = [one.package.name for one in items if one.path is None]
    if missing:
        raise ProjectError(
            f"Only Pyodide's full folder has: {', '.join(missing)}.",
            why="No package index has a wheel of it that a Pyodide takes.",
            next_step="Name a full folder of the same Pyodide (--full-dir), or leave it out.",
        )


def _resolved(session: Session, lock: Lock, spec: Spec) -> Entry:
    """Return the folder of wheels: resolved anew, from the store where nothing may be asked."""
    known = session.store.find(KIND, spec.key)
    if session.offline:
        if known and session.store.intact(known):
            return known
        raise OfflineError(
            "These packages are not in the store, and --offline forbids to fetch them.",
            next_step="Type the same once without --offline where a package index answers.",
        )
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-wheels-") as scratch:
        with working(session.progress, f"Packages for Python {lock.target.python} in a browser"):
            made = _fallbacks(session, lock, spec, Path(scratch))
            folder = _resolve(session, lock, spec, Path(scratch), made)
        names = sorted(path.name for path in folder.iterdir())

        def produce(tree: Path) -> Provenance:
            for name in names:
                shutil.copyfile(folder / name, tree / name)
            pure = {path.name for path in made.iterdir()}
            return {"source": "PyPI", "fallback": sorted(pure & set(names))}

        if known:
            session.store.remove(known)
        return session.store.fill_tree(KIND, spec.key, produce)


def _resolve(session: Session, lock: Lock, spec: Spec, scratch: Path, made: Path) -> Path:
    """Resolve with a stand-in for what may be in the full folder alone; take back the needless.

    Without stand-ins pip would look for older and older releases of what needs such a
    package, until it finds one from before it did.
    """
    standins = scratch / "standins"
    standins.mkdir()
    for package in lock.packages.values():
        if package.compiled and package.kind == "package":
            wheels.write_standin(_without_libraries(package, lock), standins)

    def attempt(name: str) -> Path:
        folder = scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for _ in range(_ROUNDS):
            try:
                resolver.download(session, folder, spec.words, lock.target, links=[made, standins])
            except NoWheelError as error:
                package = lock.packages.get(canonicalize_name(error.package))
                if package is None or list(standins.glob(_pattern(package.name))):
                    raise error.explained() from error
                wheels.write_standin(_without_libraries(package, lock), standins)
            else:
                return folder
        raise ProjectError("pip finds no set of packages that fits together for Pyodide.")

    folder = attempt("wheels")
    for path in sorted(folder.glob("*.whl")):
        if not wheels.is_standin(path.name):
            continue
        name = path.name.partition("-")[0]
        alone = scratch / f"alone-{name}"
        alone.mkdir()
        try:
            resolver.download(session, alone, [name], lock.target, dependencies=False)
        except (NoWheelError, ProjectError):
            continue
        # The index does have it, in another version: that may do as well.
        kept = [one.rename(scratch / one.name) for one in standins.glob(_pattern(name))]
        try:
            folder = attempt(f"without-{name}")
        except PyodideOfflineError:
            for one in kept:
                one.rename(standins / one.name)
    return folder


def _pattern(name: str) -> str:
    return f"{name.replace('-', '_')}-*.whl"


def _without_libraries(package: Package, lock: Lock) -> Package:
    """Return an entry that depends on no library: in an index its name would be a stranger's."""
    libraries = {one.name for one in lock.packages.values() if one.kind != "package"}
    kept = (name for name in package.depends if name not in libraries)
    return replace(package, depends=tuple(kept))


def _fallbacks(session: Session, lock: Lock, spec: Spec, scratch: Path) -> Path:
    """Return a folder with the pure wheels that are made here, in the versions asked for."""
    folder = scratch / "fallback"
    folder.mkdir()
    for name in fallback.PACKAGES:
        wanted = spec.pins.get(name, name)
        key = f"{name}-{lock.target.series}-{digest.of_bytes(wanted.encode()).short}"

        def produce(tree: Path, wanted: str = wanted) -> Provenance:
            native = _native(session, lock, wanted, tree)
            with tempfile.TemporaryDirectory(dir=tree) as unpacked:
                archive.unpack(native, Path(unpacked))
                native.unlink()
                made = fallback.pack(Path(unpacked), tree)
            return {"source": "PyPI", "from": native.name, "made": made.name}

        try:
            entry = session.store.fill_tree(FALLBACK_KIND, key, produce)
        except NoWheelError:  # an index without it: whether it is needed is seen later
            continue
        for path in entry.path.glob("*.whl"):
            shutil.copyfile(path, folder / path.name)
    return folder


def _native(session: Session, lock: Lock, wanted: str, into: Path) -> Path:
    """Fetch a native wheel, of an older Python if there is none for Pyodide's."""
    for number, python in enumerate(_LENDERS, 1):
        try:
            resolver.download(
                session,
                into,
                [wanted],
                lock.target,
                dependencies=False,
                platforms=_NATIVE,
                python=python or None,
            )
        except NoWheelError:
            if number == len(_LENDERS):
                raise
        else:
            break
    (native,) = into.glob("*.whl")
    return native


def _full(package: Package, full_dir: Path | None) -> Item:
    """Return a package of the full folder, with its file if the user has it."""
    path = full_dir / package.file_name if full_dir else None
    if path is None or not path.is_file():
        return Item(package, FULL, None)
    if (actual := digest.of_file(path).hex) != package.sha256:
        raise IntegrityError(
            f"{path} is not the file that Pyodide's lock names.",
            why=f"Expected sha256 {package.sha256}, got {actual}.",
            next_step="Take the full folder of exactly this Pyodide, or name it with --pyodide.",
        )
    return Item(package, FULL, path)


def _check(spec: Spec, found: Sequence[Wheel]) -> None:
    for wheel in found:
        expected = spec.hashes.get(wheel.path.name)
        if expected and expected != wheel.sha256:
            raise IntegrityError(
                f"{wheel.path.name} is not the file that the lock file names.",
                why=f"Expected sha256 {expected}, got {wheel.sha256}.",
            )
