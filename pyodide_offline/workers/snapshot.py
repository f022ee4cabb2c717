"""Which memory snapshot fits exactly this worker: recipes, keys, and what may be loaded.

The rules, and what was measured behind them:

- workerd checks nothing: a snapshot of other code serves that OTHER code without a word,
  and a truncated one hangs it for ever. So a snapshot is found by a key over everything
  that decides its content, and its digest is compared before each use.
- **own**: memory after this worker's top level ran. Key: the binary, the bundle, date,
  flags and every module. Any change misses.
- **packages**: memory after the worker's packages were imported, under an entry name that no
  user has (``snapshot_packages`` says which imports, and when there is none). It serves any
  edit of the worker's own modules. Key: as above, with the modules of python_modules only.
- **neutral**: memory after workers-runtime-sdk ran, likewise. It serves any
  code with the same SDK, binary, bundle, date and flags. ``.pth`` files are processed
  before a snapshot is taken and not at load: with one that is not the SDK's there is none.
- The flags of workerd count for its whole process: with several Python workers, or one
  that loads others at run time, there is none at all (``config.only_code``).
- Where the top level may look at bindings, which a helper process does not have, there is
  no own snapshot; where that of a package may, there is none of packages either.

In doubt there is none: a snapshot may cost time, never a start and never an old answer.
"""

import ast
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.store import Entry, Store
from pyodide_offline.workers import snapshot_packages

if TYPE_CHECKING:
    from pyodide_offline.workers.config import Code

KIND = "snapshot"
# More than a developer goes back and forth between; one is 20 to 50 MB.
KEPT = 12
KEPT_BYTES = 600_000_000
_VENDORED = snapshot_packages.VENDORED
_SDK = "workers_runtime_sdk-"
_ENTRY = "pyodide_offline_neutral_entry.py"
_NEUTRAL_SOURCE = b"""from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("neutral")
"""
# What a dependency that looks at bindings or JavaScript when it is imported must contain.
_WORDS = (b"import_from_javascript", b"from workers import", b"import workers", b"pyodide_js")
_MAGIC = b"\0snp"
# Changes when the rules above do: older snapshots then miss.
_RULES = "1"

Tier = Literal["own", "packages", "neutral"]
Module = tuple[str, str, bytes]


@dataclass(frozen=True)
class Recipe:
    """A snapshot that may be loaded or made: its key, and the code that makes it."""

    tier: Tier
    key: str
    code: "Code"


def recipes(store: Store, code: "Code", binary: Digest, bundle: Digest) -> Iterator[Recipe]:
    """Yield the snapshots that may serve this code, the best first.

    The store remembers which packages were read through; each is worked out when asked for.
    """
    if not looks_at_bindings(code.modules):
        yield Recipe("own", _key("own", code, binary, bundle), code)
    packages = packages_code(code)
    if packages:
        key = _key("packages", packages, binary, bundle)
        if _apart(store, key, code):
            yield Recipe("packages", key, packages)
    neutral = neutral_code(code)
    if neutral:
        yield Recipe("neutral", _key("neutral", neutral, binary, bundle), neutral)


def in_order_of_making(candidates: Iterable[Recipe]) -> Iterator[Recipe]:
    """Yield what serves the next edit too before what serves this code alone.

    Worked out when the first one is asked for.
    """
    rank = {"packages": 0, "own": 1, "neutral": 2}
    ordered = sorted(candidates, key=lambda recipe: rank[recipe.tier])
    if ordered and ordered[0].tier == "own":  # then the neutral one is what serves an edit
        ordered.reverse()
    yield from ordered


def find(store: Store, candidates: Iterable[Recipe]) -> tuple[Recipe, Entry] | None:
    """Return the best snapshot in the store whose bytes are whole; damaged ones are dropped.

    No candidate behind it is worked out.
    """
    for recipe in candidates:
        entry = store.find(KIND, recipe.key)
        if entry is None:
            continue
        if store.intact(entry):
            return recipe, entry
        store.remove(entry)
    return None


def use(store: Store, project: Path, recipe: Recipe) -> None:
    """Remember what a project was last started from, for ``foresee``."""
    key = _project_key(project)
    known = _last(store, key)
    if known.get(recipe.tier) != recipe.key:
        store.remember("last-snapshots", key, {**known, recipe.tier: recipe.key})


def foresee(store: Store, project: Path) -> None:
    """Read what a project was last started from, so that it need not be read later.

    Of each tier, the best first: after an edit the own one no longer fits.
    """
    known = _last(store, _project_key(project))
    for tier in ("own", "packages", "neutral"):
        entry = store.find(KIND, known[tier]) if tier in known else None
        if entry:
            store.intact(entry)


def _last(store: Store, key: str) -> dict[str, str]:
    known = store.memo("last-snapshots", key)
    return {str(k): str(v) for k, v in known.items()} if isinstance(known, dict) else {}


def arguments(entry: Entry) -> tuple[str, ...]:
    """Return the flags with which workerd loads a snapshot out of the store."""
    return (
        f"--python-snapshot-dir={entry.path.parent}",
        f"--python-load-snapshot={entry.path.name}",
    )


def surplus(entries: Iterable[Entry], used: dict[str, float]) -> list[Entry]:
    """Return the snapshots that are too many or too large together, oldest use first.

    ``used`` gives for each name the time of its last use, in seconds.
    """
    kept, size, dropped = 0, 0, []
    ours = [entry for entry in entries if entry.kind == KIND]
    for entry in sorted(ours, key=lambda one: used.get(one.name, 0), reverse=True):
        kept, size = kept + 1, size + entry.size
        if kept > KEPT or size > KEPT_BYTES:
            dropped.append(entry)
    return dropped[::-1]


def kind_of(path: Path) -> str | None:
    """Read whether a snapshot is ``dedicated`` or ``baseline``; None if it is none.

    Magic, three words of four bytes (version, offset of the memory, length of the JSON),
    then JSON, as the files that workerd writes have it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
            if head[:4] != _MAGIC:
                return None
            settings = json.loads(file.read(int.from_bytes(head[12:16], "little")))["settings"]
            return str(settings["snapshotType"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def neutral_code(code: "Code") -> "Code | None":
    """Return the helper worker for this code: the same SDK, date and flags; None without SDK."""
    from pyodide_offline.workers.config import Code

    listed = _sdk_files(code.modules)
    if listed is None:
        return None
    if any(name.endswith(".pth") and name not in listed for name, _, _ in code.modules):
        return None
    sdk = [snapshot_packages.placeless(module) for module in code.modules if module[0] in listed]
    entry: Module = (_ENTRY, "pythonModule", _NEUTRAL_SOURCE)
    return Code(code.date, code.flags, (entry, *sorted(sdk)))


def packages_code(code: "Code") -> "Code | None":
    """Return the helper worker with this code's packages; None where there may be none."""
    from pyodide_offline.workers.config import Code

    vendored = [
        snapshot_packages.placeless(one) for one in code.modules if one[0].startswith(_VENDORED)
    ]
    sdk = _sdk_files(vendored)
    if sdk is None or _packages_look_at_bindings(vendored, sdk):
        return None
    statements = snapshot_packages.statements(code)
    if not statements:
        return None
    source = "\n".join([*statements, _NEUTRAL_SOURCE.decode()]).encode()
    entry: Module = (_ENTRY, "pythonModule", source)
    return Code(code.date, code.flags, (entry, *sorted(vendored)))


def _apart(store: Store, key: str, code: "Code") -> bool:
    own = sorted(name for name, _, _ in code.modules if not name.startswith(_VENDORED))
    question = digests.of_bytes(json.dumps([key, own]).encode()).hex
    known = store.memo("packages-apart", question)
    if not isinstance(known, bool):
        known = snapshot_packages.apart(code)
        store.remember("packages-apart", question, known)
    return known


def looks_at_bindings(modules: Iterable[Module]) -> bool:
    """Say whether code may reach for bindings or JavaScript outside a request.

    Anything of the kind counts, wherever it stands, and so does what cannot be parsed.
    """
    modules = tuple(modules)
    own = (module for module in modules if not module[0].startswith(_VENDORED))
    if any(
        _reaches_out(content)
        for name, form, content in own
        if form == "pythonModule" or name.endswith(".py")
    ):
        return True
    return _packages_look_at_bindings(modules, _sdk_files(modules) or frozenset())


def _packages_look_at_bindings(modules: Iterable[Module], sdk: frozenset[str]) -> bool:
    # Parsing all dependencies would cost more than the snapshot saves.
    return any(
        word in content
        for name, _, content in modules
        if name.startswith(_VENDORED) and name not in sdk
        for word in _WORDS
    )


def _reaches_out(source: bytes) -> bool:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                if any(name.name.split(".")[0] == "js" for name in names):
                    return True
            case ast.ImportFrom(module="js"):
                return True
            case ast.ImportFrom(module="workers", names=names):
                if {name.name for name in names} & {"*", "env", "import_from_javascript"}:
                    return True
            case ast.Attribute(value=ast.Name(id="workers"), attr="env"):
                return True
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if name in ("import_from_javascript", "pyodide_js"):
                    return True
    return False


def _sdk_files(modules: Iterable[Module]) -> frozenset[str] | None:
    """Return the names of workers-runtime-sdk's modules; None if it is not vendored."""
    for name, _, content in modules:
        if name.startswith(_VENDORED + _SDK) and name.endswith(".dist-info/RECORD"):
            return frozenset(_VENDORED + path for path in _recorded(content))
    return None


def _recorded(record: bytes) -> list[str]:
    """Return the files that a wheel's RECORD lists (PEP 376: CSV, the path first)."""
    return [row[0] for row in csv.reader(record.decode("utf-8", "replace").splitlines()) if row]


def _project_key(project: Path) -> str:
    return digests.of_bytes(str(project).encode()).short


def _key(tier: Tier, code: "Code", binary: Digest, bundle: Digest) -> str:
    total = hashlib.sha256()
    head = [_RULES, tier, str(binary), str(bundle), code.date, sorted(code.flags)]
    # In their own order: the first module is the entry.
    for part in (head, code.bindings if tier == "own" else ()):
        total.update(json.dumps(part).encode())
    for name, form, content in code.modules:
        total.update(json.dumps([name, form, digests.of_bytes(content).hex]).encode())
    return f"{tier}-{total.hexdigest()}"
