"""wrangler and the workerd that it will start: the project's own, else one in the store.

Found by the rules that Node itself follows (nodejs.org, "Loading from node_modules
folders"): from a file's real folder upward, in each one's ``node_modules``. npx does the
same for a project; a managed wrangler is laid out as ``npm install --global`` does, where
npx looks next, without asking a registry, when ``npm_config_prefix`` names the folder.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline import digest, process
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    PyodideOfflineError,
    RegistryError,
    ToolchainError,
    UnsupportedError,
)
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node, platforms, programs
from pyodide_offline.workers.toolchain.source import Source

KIND = "wrangler"
DEFAULT_VERSION = "4.164.0"
_UNREACHED = {
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "ENOTFOUND",
    "ERR_SOCKET_TIMEOUT",
    "ETIMEDOUT",
}
_CMD = '@node "%~dp0node_modules\\wrangler\\bin\\wrangler.js" %*\r\n'


@dataclass(frozen=True)
class Wrangler:
    """A wrangler. ``package`` is its folder, ``bin_dir`` holds the command of that name.

    ``node_range`` is what its package.json wants of Node; ``workerd`` the native binary,
    ``schema`` the description of its configuration. ``prefix`` is what npm must take for
    the global folder so that npx finds it, None for a project's own.
    """

    package: Path
    version: str
    node_range: str
    workerd: Path
    schema: Path
    bin_dir: Path
    managed: bool
    prefix: Path | None = None


def find(session: Session) -> Wrangler | None:
    """Return the project's wrangler, else the managed DEFAULT_VERSION, else None.

    Raises ToolchainError if the project's is incomplete, UnsupportedError for Yarn's
    Plug'n'Play and for machines that workerd does not run on.
    """
    for folder in _upward(session.project.resolve()):
        modules = folder / "node_modules"
        if (modules / "wrangler" / "package.json").is_file():
            return _describe(modules / "wrangler", modules / ".bin", prefix=None)
    _refuse_plug_and_play(session.project.resolve())
    return _stored(session)


def provide(
    session: Session,
    npm: tuple[str, ...],
    version: str | None = None,
    source: Source | None = None,
) -> Wrangler:
    """Return the project's wrangler, or a managed one, installed by npm if need be.

    ``version`` asks for a managed one of exactly that version; with a ``source`` no npm is
    started. Raises ToolchainError, UnsupportedError, OfflineError.
    """
    if version is None and (found := find(session)):
        return found
    wanted = version or DEFAULT_VERSION
    name = f"{wanted}-{platforms.here()}"
    _workerd_package()
    if source is None and session.store.find(KIND, name) is None:
        session.require_network(f"wrangler {wanted}")

    def produce(folder: Path) -> Mapping[str, Any]:
        root = install_root(folder)
        root.mkdir(exist_ok=True)
        if source:
            source.bring(root)
        else:
            _install(session, npm, root, wanted)
        return _finish(folder)

    with working(session.progress, f"wrangler {wanted}"):
        of_file = source.digest if source else digest.of_file
        entry = session.store.fill_tree(KIND, name, produce, of_file=of_file)
    return _managed(entry.path)


def install_root(prefix: Path) -> Path:
    """Return the folder whose node_modules npm takes for the global one of a prefix."""
    return prefix if sys.platform == "win32" else prefix / "lib"


def resolve(start: Path, package: str) -> Path | None:
    """Return the real folder of a package as ``require`` in ``start`` would find it."""
    for folder in _upward(start.resolve()):
        if folder.name != "node_modules":
            candidate = folder / "node_modules" / package
            if (candidate / "package.json").is_file():
                return candidate.resolve()
    return None


def _describe(package: Path, bin_dir: Path, *, prefix: Path | None) -> Wrangler:
    real = package.resolve()
    manifest = _manifest(real)
    platform_package = _workerd_package()
    miniflare = resolve(real, "miniflare")
    workerd = resolve(miniflare or real, "workerd")
    native = resolve(workerd, platform_package) if workerd else None
    binary = native / "bin" / platforms.executable("workerd") if native else None
    if not (workerd and binary and binary.is_file()):
        missing = "workerd" if workerd is None else platform_package
        raise ToolchainError(
            f"The wrangler in {package} is not complete: {missing} is missing.",
            why="It was installed for another machine, or without optional packages.",
            next_step="Install it again in the project: npm install",
        )
    engines = manifest.get("engines")
    return Wrangler(
        package=real,
        version=str(manifest.get("version", "")),
        node_range=str(engines.get("node", "*")) if isinstance(engines, dict) else "*",
        workerd=binary,
        schema=workerd / "workerd.capnp",
        bin_dir=bin_dir,
        managed=prefix is not None,
        prefix=prefix,
    )


def _managed(tree: Path) -> Wrangler:
    bin_dir = tree if sys.platform == "win32" else tree / "bin"
    package = install_root(tree) / "node_modules" / "wrangler"
    return _describe(package, bin_dir, prefix=tree)


def _stored(session: Session) -> Wrangler | None:
    suffix = f"-{platforms.here()}"
    entry = session.store.find(KIND, DEFAULT_VERSION + suffix)
    return _managed(entry.path) if entry else None


def _install(session: Session, npm: tuple[str, ...], root: Path, version: str) -> None:
    environ = {**session.environ, **node.global_settings(session.environ)}
    if len(npm) > 1:  # npm's cli, started by a Node that npm's own children must find too
        environ["PATH"] = _before(str(Path(npm[0]).parent), environ.get("PATH", ""))
    with _project_settings(session.project, root):
        done = process.capture(
            [
                *npm,
                "install",
                f"--prefix={root}",
                "--global=false",
                "--ignore-scripts",  # esbuild's and workerd's only copy what is there already
                "--include=optional",
                "--no-package-lock",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
                "--loglevel=error",
                # npm's own patience with a registry that does not answer is over a minute.
                "--fetch-retry-mintimeout=500",
                "--fetch-retry-maxtimeout=2000",
                f"wrangler@{version}",
            ],
            env=environ,
            cwd=root,
            timeout=1800,
        )
    if done.status != 0:
        programs.refuse_full_disk(done.stderr, session.store.root)
        raise _failure(version, done.stderr or done.stdout, session.environ)


def _finish(folder: Path) -> Mapping[str, Any]:
    """Make the command that npx finds; what is not complete raises ToolchainError."""
    bin_dir = folder if sys.platform == "win32" else folder / "bin"
    bin_dir.mkdir(exist_ok=True)
    if sys.platform == "win32":
        (bin_dir / "wrangler.cmd").write_text(_CMD, newline="")
    else:
        (bin_dir / "wrangler").symlink_to("../lib/node_modules/wrangler/bin/wrangler.js")
    made = _managed(folder)
    return {"source": "npm", "package": "wrangler", "version": made.version}


@contextmanager
def _project_settings(project: Path, root: Path) -> Iterator[None]:
    """Let npm read the project's .npmrc (registry, login) although it works elsewhere."""
    copy = root / ".npmrc"
    for folder in _upward(project.resolve()):
        if (folder / ".npmrc").is_file():
            copy.touch(mode=0o600)
            copy.write_bytes((folder / ".npmrc").read_bytes())
            break
        if (folder / "package.json").is_file():
            break
    try:
        yield
    finally:
        copy.unlink(missing_ok=True)


def _failure(version: str, output: str, environ: Mapping[str, str]) -> PyodideOfflineError:
    """Turn npm's last words into an error of the kind that its code tells of."""
    from pyodide_offline.network import mirrored

    what = f"npm cannot install wrangler {version}."
    code = re.search(r"npm error code (\S+)", output)
    kind: type[PyodideOfflineError] = ToolchainError
    if code and code[1] in _UNREACHED:
        kind = NetworkError
    elif code and re.fullmatch(r"E[45]\d\d|ETARGET|EINTEGRITY", code[1]):
        kind = IntegrityError if code[1] == "EINTEGRITY" else RegistryError
    usual = "Check which registry npm uses: npm config get registry"
    if code and code[1] == "ETARGET":
        usual = "See which versions there are: npm view wrangler versions"
    step = mirrored.advice(environ, usual)
    return kind(what, why=_reason(output), next_step=step)


def _reason(output: str) -> str:
    """Return npm's own words, without its markers and the line about a log file."""
    lines = [line.removeprefix("npm error").strip() for line in output.splitlines()]
    kept = [line for line in lines if line and "complete log of this run" not in line]
    return process.tail("\n".join(kept[:4]), lines=4)


def _workerd_package() -> str:
    name = platforms.workerd_package()
    if name is None:
        raise UnsupportedError(
            f"workerd is not published for this machine ({platforms.here()}).",
            next_step="Use Linux, macOS or Windows on x64 or arm64.",
        )
    return name


def _refuse_plug_and_play(project: Path) -> None:
    for folder in _upward(project):
        if not any((folder / name).is_file() for name in (".pnp.cjs", ".pnp.js")):
            continue
        with_wrangler = _manifest(folder, broken={})
        groups = ("dependencies", "devDependencies")
        if any("wrangler" in (with_wrangler.get(group) or {}) for group in groups):
            raise UnsupportedError(
                f"The wrangler of {folder} is installed by Yarn Plug'n'Play.",
                why="Without node_modules its workerd cannot be found.",
                next_step="Put nodeLinker: node-modules into .yarnrc.yml, then: yarn install",
            )


def _manifest(folder: Path, broken: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "package.json").read_bytes())
        if isinstance(manifest, dict):
            return manifest
    except (OSError, ValueError) as error:
        if broken is None:
            raise ToolchainError(
                f"Cannot read {folder / 'package.json'}.",
                why=f"{error}.",
                next_step="Install it again: npm install",
            ) from error
    return broken or {}


def _upward(folder: Path) -> list[Path]:
    return [folder, *folder.parents]


def _before(first: str, rest: str) -> str:
    return os.pathsep.join(part for part in (first, rest) if part)
