"""Make a folder: npm's Pyodide, wheels, a lock of exactly these, a worker and a page."""

import html
import json
import shutil
import string
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pyodide_offline import archive, digest, disk
from pyodide_offline.distribution import lockfile, npm
from pyodide_offline.distribution.lockfile import Lock, Package
from pyodide_offline.errors import AssemblyError, ProjectError, UnsupportedError
from pyodide_offline.features.browser import (
    apps,
    compress,
    folder,
    inside,
    micropip,
    spec,
    wheelhouse,
)
from pyodide_offline.features.browser.apps import App
from pyodide_offline.features.browser.folder import Folder
from pyodide_offline.features.browser.wheelhouse import FALLBACK, Item
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node

PYODIDE = "314.0.7"
# The first release whose runtime has sqlite3, ssl and lzma in it; before, they are files that
# only the full folder has.
_WHOLE = 314
RUNTIME, PACKAGES = "pyodide/", "packages/"
_LOCK = "pyodide-lock.json"
# Before 314 the generated code is a script, which a module worker imports as well.
_GENERATED = ("pyodide.asm.mjs", "pyodide.asm.js")
_RUNTIME_FILES = ("pyodide.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
_PAGE_FILES = ("files.js", "page.js", "view.js", "worker.js", "page.css")
# The two that stand for the CDN's are for pages of others (see ``rewrite``).
_TOP_FILES = ("sw.js", "pyodide.js", "pyodide.mjs")
_BRIDGE = "python/pyodide_folder/"
_BRIDGE_FILES = ("__init__.py", "bridge.py", "tables.py")
_PAGES = Path(__file__).parent / "pages"
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'{more}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
LIMIT = 120  # seconds without a sign of life


@dataclass(frozen=True)
class Options:
    """What is built, beside the packages. ``suffix`` is that of the wheels' names."""

    app: App | None = None
    pyodide: str = PYODIDE
    full_dir: Path | None = None
    exclude: tuple[str, ...] = ()
    title: str = ""
    suffix: str = ".whl"
    compiled: bool = False
    compressed: bool = True
    micropip: bool = False
    allow_remote: bool = False
    limit: int = LIMIT


@dataclass(frozen=True)
class Plan:
    """What will be in the folder, known before it is made."""

    lock: Lock
    items: tuple[Item, ...]
    runtime: dict[str, bytes] = field(repr=False)

    @property
    def modules(self) -> list[str]:
        """Return the names of the runtime's modules in the folder."""
        return [f"{RUNTIME}{name}" for name in ("pyodide.mjs", *_GENERATED) if name in self.runtime]


def plan(session: Session, asked: Sequence[str], options: Options) -> Plan:
    """Resolve the packages and get Pyodide. Raises what the registries and pip give rise to."""
    major = options.pyodide.split(".")[0]
    if not major.isdigit() or (int(major) < _WHOLE and options.full_dir is None):
        raise UnsupportedError(
            f"A folder cannot be made of npm's Pyodide {options.pyodide} alone.",
            why=f"Before {_WHOLE} sqlite3, ssl and lzma are files that its full folder has.",
            next_step=f"Take --pyodide {PYODIDE}, or name that folder with --full-dir.",
        )
    tarball = npm.tarball(session, "pyodide", options.pyodide, npm=_npm(session))
    wanted = [*_RUNTIME_FILES, _LOCK]
    members = [f"package/{name}" for name in (*wanted, *_GENERATED)]
    found = archive.read_members(tarball.path, members)
    runtime = {name.removeprefix("package/"): data for name, data in found.items()}
    missing = [name for name in wanted if name not in runtime]
    if missing or not any(name in runtime for name in _GENERATED):
        raise UnsupportedError(
            f"npm's pyodide {options.pyodide} has no {', '.join(missing) or _GENERATED[0]}.",
            why="This release does not know how it is laid out.",
            next_step=f"Take --pyodide {PYODIDE}.",
        )
    lock = lockfile.read(runtime.pop(_LOCK), f"{_LOCK} of Pyodide {options.pyodide}")
    words = [*asked, *(options.app.requires if options.app else ())]
    if options.micropip:
        words.append("micropip")
    items: list[Item] = []
    if words:
        wanted_spec = spec.read(list(dict.fromkeys(words)), session.project, lock.target)
        excluded = [*options.exclude, *(options.app.exclude if options.app else ())]
        items = wheelhouse.collect(
            session, lock, wanted_spec, exclude=excluded, full_dir=options.full_dir
        )
    return Plan(lock, tuple(items), runtime)


def make(session: Session, planned: Plan, target: Path, options: Options) -> Folder:
    """Write the folder beside its place and rename it there, for an older one if need be.

    Raises ProjectError if the place holds something else, or a package has no file.
    """
    wheelhouse.refuse_missing(planned.items)
    if options.micropip and options.suffix != ".whl":
        raise UnsupportedError("micropip installs files that are called .whl, and no others.")
    refuse_foreign(target)
    with disk.guarded(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
            root = Path(beside) / "folder"
            root.mkdir()
            made = _write(session, planned, root, options)
            root.chmod(0o755)
            _publish(root, target, Path(beside) / "before")
    return Folder(target, made.about, made.files)


def policy(*, allow_remote: bool) -> str:
    """Return the Content-Security-Policy of a folder's page."""
    return _POLICY.format(more=" https:" if allow_remote else "")


def _npm(session: Session) -> Sequence[str] | None:
    found = node.find(session, "*")
    return found.npm if found else None


def _publish(root: Path, target: Path, before: Path) -> None:
    """Rename a folder to its place; what was there comes back if that does not succeed."""
    if not target.exists():
        root.rename(target)
        return
    target.rename(before)
    try:
        root.rename(target)
    except BaseException:
        before.rename(target)
        raise


def refuse_foreign(target: Path) -> None:
    """Raise ProjectError if something is at the place that ``make`` did not put there."""
    if target.exists() and not (
        target.is_dir() and ((target / folder.LIST).is_file() or not any(target.iterdir()))
    ):
        raise ProjectError(
            f"{target} is there already, and browser build did not make it.",
            next_step="Remove it, or name another folder with -o.",
        )


def _write(session: Session, planned: Plan, root: Path, options: Options) -> Folder:
    app, title = options.app, options.title or (options.app.title if options.app else "Python")
    _put(root, RUNTIME, planned.runtime)
    place = apps.write(app, root) if app else {}
    if app:
        _put(root, _BRIDGE, {name: (_PAGES / name).read_bytes() for name in _BRIDGE_FILES})
        place |= {f"{_BRIDGE}{name}": f"/folder/{_BRIDGE}{name}" for name in _BRIDGE_FILES}
    _put(root, "page/", {name: (_PAGES / name).read_bytes() for name in _PAGE_FILES})
    _put(root, "", {name: (_PAGES / name).read_bytes() for name in _TOP_FILES})
    _put(root, "", {folder.PAGE: _page(root, title, options).encode()})
    about: dict[str, Any] = {
        "title": title,
        "pyodide": options.pyodide,
        "python": planned.lock.target.python,
        "runtime": RUNTIME,
        "packages": PACKAGES,
        "modules": planned.modules,
        "load": [],
        "imports": [],
        "place": {},
        "app": None,
        "index": None,
        "allow_remote": options.allow_remote,
        "limit": options.limit,
    }
    entries = _packages(session, planned, root, options, about)
    if options.micropip:
        about["index"] = micropip.write_index(root, root / PACKAGES)
    files = {one.name: one.file_name for one in entries}
    wanted = [f"{RUNTIME}{name}" for name in planned.runtime]
    wanted += [f"{PACKAGES}{_LOCK}", *(f"{PACKAGES}{files[name]}" for name in about["load"])]
    about |= {
        "place": place,
        "app": app.record() if app else None,
        "wanted": [*wanted, *place],
        "kept": folder.names(root),
    }
    if options.compressed:
        compress.write(root, session.progress)
    return folder.seal(root, about)


def _packages(
    session: Session, planned: Plan, root: Path, options: Options, about: dict[str, Any]
) -> list[Package]:
    """Write wheels and lock, compiled and renamed as asked; complete what the list says of them."""
    packages = root / PACKAGES
    packages.mkdir()
    for item in planned.items:
        assert item.path is not None  # noqa: S101 - make has refused those
        shutil.copyfile(item.path, packages / item.path.name)
    entries = [item.package for item in planned.items]

    def under_node(action: Literal["verify", "compile"]) -> dict[str, Any]:
        (packages / _LOCK).write_bytes(lockfile.write(planned.lock, entries))
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as listed:
            json.dump(about, listed)
            listed.flush()
            return inside.run(session, action, root, Path(listed.name))

    if options.compiled:
        with working(session.progress, "Compiling"):
            names = dict(under_node("compile")["compiled"])
        entries = [_moved(one, packages, names.get(one.file_name)) for one in entries]
    if options.suffix != ".whl":
        for place, one in enumerate(entries):
            name = one.file_name.removesuffix(".whl") + options.suffix
            (packages / one.file_name).rename(packages / name)
            entries[place] = replace(one, file_name=name)
    about["load"] = [one.name for one in entries if one.kind in wheelhouse.LOADED]
    made = [item.package for item in planned.items if item.kind == FALLBACK]
    about["imports"] = sorted(name for one in made for name in one.imports if name[0] != "_")
    if about["imports"]:
        with working(session.progress, f"Importing {', '.join(about['imports'])} in Pyodide"):
            fault = under_node("verify").get("fault")
        if fault:
            raise AssemblyError(
                "A pure wheel that was made here does not work.",
                why=str(fault),
                next_step="Leave the package out (--exclude), or name a full folder.",
            )
    if options.micropip and not options.app:
        lock = replace(planned.lock, packages={one.name: one for one in entries})
        about["load"] = [one.name for one in lockfile.closure(lock, ["micropip"])]
    (packages / _LOCK).write_bytes(lockfile.write(planned.lock, entries))
    return entries


def _moved(package: Package, packages: Path, name: str | None) -> Package:
    """Return the entry of a package whose file was replaced by another one."""
    if name is None:
        return package
    (packages / name).chmod(0o644)
    return replace(package, file_name=name, sha256=digest.of_file(packages / name).hex)


def _page(root: Path, title: str, options: Options) -> str:
    template = string.Template((_PAGES / folder.PAGE).read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(title),
        policy=policy(allow_remote=options.allow_remote),
        **_versioned("style", root / "page/page.css"),
        **_versioned("script", root / "page/page.js"),
    )


def _versioned(name: str, path: Path) -> dict[str, str]:
    integrity = digest.of_file(path).sri
    return {name: integrity, f"{name}_version": folder.version(integrity)}


def _put(root: Path, below: str, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = root / f"{below}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
