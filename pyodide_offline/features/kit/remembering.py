"""Making the memory that a kit brings (``memory``): by the workerd of the same lock, here.

The same inputs gave the same memory, byte for byte. It is made once; the store has it then.
"""

import json
import os
import platform
import sys
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyodide_offline import digest as digests
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.kit import archives, rehearsal
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.memory import KIND
from pyodide_offline.features.kit.rehearsal import Subject
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.installing import Clash
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers import placement, probe, schema, snapshot, snapshot_maker
from pyodide_offline.workers.snapshot import Recipe

_SHELF = "kit-memory"
_LEVEL = 6


def packed(session: Session, subject: Subject, found: Sequence[Archive]) -> list[Archive]:
    """Return the snapshot as an archive of the kit, made if the store has none; or nothing.

    ``found`` are the kit's other archives. No failure is one of the kit's: it goes without.
    """
    here = plans.target(sys.platform, platform.machine())
    if os.name == "nt" or here not in subject.plan.native or not subject.plan.inside:
        return []
    question = _question(session, subject, found)
    known = session.store.memo(_SHELF, question)
    entry = session.store.find(_SHELF, known) if isinstance(known, str) else None
    if entry is None and known is not False:
        try:
            with working(session.progress, "Memory of the worker's packages"):
                entry = _made(session, subject, found)
        except (PyodideOfflineError, OSError, Clash) as error:
            session.progress.note(f"The kit goes without a memory of the packages: {error}")
            return []
        session.store.remember(_SHELF, question, entry.name if entry else False)
    if entry is None:
        return []
    tier, _, digits = entry.name.partition("-")
    archive = archives.file(entry, KIND, entry.name, "", f"memory-{tier}-{digits[:12]}.zz")
    return [replace(archive, item=replace(archive.item, targets=(here,)))]


def _made(session: Session, subject: Subject, found: Sequence[Archive]) -> Entry | None:
    """Make the snapshot and keep it compressed; None where there can be none."""
    code = rehearsal.code(session, subject, found)
    if code is None:
        return None
    binary = probe.identify(session.store, subject.tools.wrangler.workerd)
    bundle = subject.supplied.entry.digest
    # What this worker's own code leaves in memory is not the kit's to carry.
    recipes = snapshot.recipes(session.store, code, binary, bundle)
    recipe = next((one for one in recipes if one.tier != "own"), None)
    return _kept(session, subject, recipe) if recipe else None


def _kept(session: Session, subject: Subject, recipe: Recipe) -> Entry:
    def produce(target: Path) -> Mapping[str, Any]:
        entry = session.store.find(snapshot.KIND, recipe.key)
        if entry is None or not session.store.intact(entry):
            job = _job(session, subject, recipe)
            entry = snapshot_maker.make(session, job, threading.Event())
        target.write_bytes(zlib.compress(entry.path.read_bytes(), _LEVEL))
        return {"source": "workerd", "tier": recipe.tier}

    return session.store.fill(_SHELF, recipe.key, produce)


def _job(session: Session, subject: Subject, recipe: Recipe) -> snapshot_maker.Job:
    worker, supplied, wrangler = subject.worker, subject.supplied, subject.tools.wrangler
    folder = placement.choose_folder(session, [supplied])
    placement.place(session, worker.date, worker.flags, supplied, folder, lambda *_, **__: supplied)
    description = schema.checked(session.store, wrangler.schema)
    return snapshot_maker.Job(wrangler.workerd, description, folder, recipe)


def _question(session: Session, subject: Subject, found: Sequence[Archive]) -> str:
    """Return what decides the snapshot, as one digest."""
    worker, tools = subject.worker, subject.tools
    own = [
        f"{path.relative_to(worker.config.parent)} {digests.of_file(path)}"
        for path in rehearsal.modules(worker)
    ]
    parts = [
        str(probe.identify(session.store, tools.wrangler.workerd)),
        str(subject.supplied.entry.digest),
        tools.wrangler.version,
        tools.pywrangler.version if tools.pywrangler else "",
        str(digests.of_file(worker.config)),
        [*worker.flags, *own],
        # This product's wheel is one of them: another release may lay out otherwise.
        sorted(one.item.sha256 for one in found if one.item.kind == archives.WHEEL),
        subject.plan.pure,
    ]
    return digests.of_bytes(json.dumps(parts).encode()).hex
