"""Which memory snapshot fits exactly this worker: recipes, keys, and what may be loaded.

The rules, and what was measured behind them:

- workerd checks nothing: a snapshot of other code serves that OTHER code without a word,
  and a truncated one hangs it for ever. So a snapshot is found by a key over everything
  that decides its content, and its digest is compared before each use.
- **own**: memory after this worker's top level ran. Key: the binary, the bundle, date,
  flags and every module. Any change misses.
- **neutral**: memory after workers-runtime-sdk ran, under an entry name that no user has.
  It serves any code with the same SDK, binary, bundle, date and flags. ``.pth`` files are
  processed before a snapshot is taken and not at load: with one that is not the SDK's
  there is no neutral snapshot.
- The flags of workerd count for its whole process: with several Python workers, or one
  that loads others at run time, there is none at all (``config.only_code``).
- Where the top level may look at bindings, which a helper process does not have, there is
  no own snapshot.

In doubt there is none: a snapshot may cost time, never a start and never an old answer.
"""

import ast
import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.store import Entry, Store

if TYPE_CHECKING:
    from pyodide_offline.workers.config import Code

KIND = "snapshot"
# More than a developer goes back and forth between; one is 20 to 50 MB.
KEPT = 8
KEPT_BYTES = 400_000_000
_VENDORED = "python_modules/"
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

Tier = Literal["own", "neutral"]
Module = tuple[str, str, bytes]


@dataclass(frozen=True)
class Recipe:
    """A snapshot that may be loaded or made: its key, and the code that makes it."""

    tier: Tier
    key: str
    code: "Code"


def recipes(code: "Code", binary: Digest, bundle: Digest) -> list[Recipe]:
    """Return the snapshots that may serve this code, the best first."""
    found = []
    if not looks_at_bindings(code.modules):
        found.append(Recipe("own", _key("own", code, binary, bundle), code))
    neutral = neutral_code(code)
    if neutral:
        found.append(Recipe("neutral", _key("neutral", neutral, binary, bundle), neutral))
    return found


def find(store: Store, candidates: Iterable[Recipe]) -> tuple[Recipe, Entry] | None:
    """Return the best snapshot in the store whose bytes are whole; damaged ones are dropped."""
    for recipe in candidates:
        entry = store.find(KIND, recipe.key)
        if entry is None:
            continue
        if store.intact(entry):
            return recipe, entry
        store.remove(entry)
    return None


def use(store: Store, project: Path, entry: Entry) -> None:
    """Remember what a project was last started from, for ``foresee``."""
    key = _project_key(project)
    if store.memo("last-snapshot", key) != entry.name:
        store.remember("last-snapshot", key, entry.name)


def foresee(store: Store, project: Path) -> None:
    """Read the snapshot that a project was last started from, so that it need not be later."""
    name = store.memo("last-snapshot", _project_key(project))
    entry = store.find(KIND, name) if isinstance(name, str) else None
    if entry:
        store.intact(entry)


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
    sdk = [module for module in code.modules if module[0] in listed]
    entry: Module = (_ENTRY, "pythonModule", _NEUTRAL_SOURCE)
    return Code(code.date, code.flags, (entry, *sorted(sdk)))


def looks_at_bindings(modules: Iterable[Module]) -> bool:
    """Say whether code may reach for bindings or JavaScript outside a request.

    Anything of the kind counts, wherever it stands, and so does what cannot be parsed.
    """
    modules = tuple(modules)
    sdk = _sdk_files(modules) or frozenset()
    for name, form, content in modules:
        if name.startswith(_VENDORED):
            # Parsing all dependencies would cost more than the snapshot saves.
            if name not in sdk and any(word in content for word in _WORDS):
                return True
        elif (form == "pythonModule" or name.endswith(".py")) and _reaches_out(content):
            return True
    return False


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
