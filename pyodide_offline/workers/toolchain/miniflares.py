"""Which miniflares are installed here: in a project, for the whole user, in npx's cache.

A folder of modules is read as each package manager lays it out: npm and Yarn nest, pnpm,
Bun and Yarn's pnpm linker keep the real packages in a hidden folder and link to them.
Packages are resolved to their real folders, so each is found once.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers import miniflare
from pyodide_offline.workers.miniflare import Recipe
from pyodide_offline.workers.toolchain import wrangler

# Store kind of the files that were patched, as their makers wrote them.
ORIGINALS = "patch-original"
# Real packages of pnpm, of Yarn's pnpm linker and of Bun, one folder a package.
_HIDDEN = (".pnpm", ".store", ".bun")
# What brings a miniflare along, possibly from a folder of its own.
_BRINGERS = ("wrangler", "@cloudflare/vite-plugin", "@cloudflare/vitest-pool-workers")


@dataclass(frozen=True)
class Miniflare:
    """An installed miniflare: its real folder and the version in its package.json."""

    package: Path
    version: str


def find(session: Session, named: Sequence[Path] = ()) -> list[Miniflare]:
    """Return the miniflares in what is named, else those of the project and the user.

    Ours, in the store, is found only when it is named. Raises ToolchainError for a name
    without one.
    """
    found: list[Path] = []
    for path in named:
        inside = list(_named(path))
        if not inside:
            raise ToolchainError(
                f"There is no miniflare in {path}.",
                next_step="Name a project, a wrangler, a miniflare or a node_modules folder.",
            )
        found += inside
    if not named:
        store = session.store.root.resolve()
        around = [*_of_project(session.project.resolve()), *_of_user(session)]
        found += (package for package in around if not package.is_relative_to(store))
    return [Miniflare(package, _field(package, "version")) for package in dict.fromkeys(found)]


def recipes() -> list[Recipe]:
    """Return the recipes of ``patches/``."""
    import yaml

    # In a wheel they lie in the package (force-include in pyproject.toml), in a clone above it.
    package = Path(__file__).resolve().parents[2]
    folder = package / "patches"
    if not folder.is_dir():
        folder = package.parent / "patches"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return [miniflare.recipe(yaml.safe_load(text)) for text in texts]


def _named(path: Path) -> Iterator[Path]:
    real = path.resolve()
    if real.is_file():
        real = next((one for one in real.parents if (one / "package.json").is_file()), real)
    name = _field(real, "name")
    if name == "miniflare":
        yield real
        return
    if name in _BRINGERS and (own := wrangler.resolve(real, "miniflare")):
        yield own
    if real.name == "node_modules":
        yield from _scan(real)
        return
    places = ("node_modules", "lib/node_modules", "*/node_modules", "*/*/node_modules")
    for modules in sorted({one for place in places for one in real.glob(place)}):
        yield from _scan(modules)


def _of_project(project: Path) -> Iterator[Path]:
    for folder in (project, *project.parents):
        yield from _scan(folder / "node_modules")


def _of_user(session: Session) -> Iterator[Path]:
    environ = {name.lower(): value for name, value in session.environ.items()}
    on_path = [Path(part) for part in environ.get("path", "").split(os.pathsep) if part]
    for folder in on_path:
        yield from _of_command(folder / "wrangler")
        for program in ("node", "npm"):
            if (folder / program).exists():
                yield from _scan(wrangler.install_root(folder.parent) / "node_modules")
                real = (folder / program).resolve()
                yield from _scan(wrangler.install_root(real.parent.parent) / "node_modules")
    if prefix := environ.get("npm_config_prefix"):
        yield from _scan(wrangler.install_root(Path(prefix)) / "node_modules")
    for modules in _global_folders(environ):
        yield from _scan(modules)


def _global_folders(environ: dict[str, str]) -> Iterator[Path]:
    home = Path(environ.get("home") or environ.get("userprofile") or Path.home())
    pnpm = [home / ".local/share/pnpm", home / "Library/pnpm"]
    if named := environ.get("pnpm_home"):
        pnpm.append(Path(named))
    for folder in pnpm:
        yield from sorted(folder.glob("global/*/node_modules"))
        yield from sorted(folder.glob("global/*/*/node_modules"))
    yield home / ".config/yarn/global/node_modules"
    yield home / ".bun/install/global/node_modules"
    yield from sorted((home / ".volta/tools/image/packages").glob("*/lib/node_modules"))
    if sys.platform == "win32" and (roaming := environ.get("appdata")):
        yield Path(roaming) / "npm" / "node_modules"
    cache = Path(environ.get("npm_config_cache") or home / ".npm")
    yield from sorted((cache / "_npx").glob("*/node_modules"))


def _of_command(command: Path) -> Iterator[Path]:
    """Find what a ``wrangler`` on PATH is a link to; a script of pnpm's leads nowhere here."""
    if command.is_symlink():
        for folder in command.resolve().parents:
            if _field(folder, "name") == "wrangler":
                if own := wrangler.resolve(folder, "miniflare"):
                    yield own
                return


def _scan(modules: Path) -> Iterator[Path]:
    """Yield the miniflares below a folder of modules, not looking into packages."""
    for package in _packages(modules):
        if package.name in ("miniflare", "package"):  # Yarn's linker calls all by that name
            real = package.resolve()
            if _field(real, "name") == "miniflare":
                yield real
        elif package.is_symlink():
            name = package.relative_to(modules).as_posix()
            if name in _BRINGERS and (own := wrangler.resolve(package, "miniflare")):
                yield own
        else:
            yield from _scan(package / "node_modules")


def _packages(modules: Path) -> Iterator[Path]:
    for entry in _folders(modules):
        if entry.name in _HIDDEN:
            for one in _folders(entry):
                yield one / "package"
                yield from _packages(one / "node_modules")
        elif entry.name.startswith("@"):
            yield from _folders(entry)
        elif not entry.name.startswith("."):
            yield entry


def _folders(folder: Path) -> Iterable[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _field(package: Path, name: str) -> str:
    try:
        return str(json.loads((package / "package.json").read_bytes())[name])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
