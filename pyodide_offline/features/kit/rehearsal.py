"""What wrangler would send to workerd for a worker, with the packages as a kit lays them out.

wrangler alone knows: a copy of the worker with its modules, date and flags is started, without
bindings, until its first words to workerd, which are heard in workerd's place.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pyodide_offline.errors import WorkerdError
from pyodide_offline.features.kit import syncing
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.plan import Plan
from pyodide_offline.kits.rack import Rack
from pyodide_offline.session import Session
from pyodide_offline.workers import (
    broker,
    config,
    environment,
    project,
    schema,
    shim,
    snapshot_maker,
)
from pyodide_offline.workers.config import Code
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain.chain import Toolchain

# Seconds for wrangler's way to its first workerd, on a busy machine.
_PATIENCE = 120
# What decides which modules wrangler sends; all else of a configuration is left out.
_TAKEN = ("rules", "base_dir", "no_bundle", "find_additional_modules", "python_modules")
_LEFT_OUT = {"python_modules", "node_modules", "__pycache__"}


@dataclass(frozen=True)
class Subject:
    """A worker, this machine's tools, its bundle, and the plan of the kit."""

    worker: project.Worker
    tools: Toolchain
    supplied: Supplied
    plan: Plan


def code(session: Session, subject: Subject, found: Sequence[Archive]) -> Code | None:
    """Return the code that workerd will be sent; None where it cannot be told.

    ``found`` are the kit's archives. Raises WorkerdError where wrangler does not start it, Clash
    and what laying out raises.
    """
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as name:
        folder = Path(name)
        if subject.tools.pywrangler is None or not _copied(subject.worker, folder):
            return None
        places = {one.item.sha256: one.path for one in found}
        version = subject.tools.pywrangler.version
        with Crew() as crew:
            rack = Rack([one.item for one in found], places)
            syncing.vendored(rack, crew, subject.plan, version, folder)
        message = _sent(session, subject.tools, folder)
    description = schema.checked(session.store, subject.tools.wrangler.schema)
    message = config.rewrite(message, description, lambda _: subject.supplied.flags)
    return config.only_code(message, description)


def modules(worker: project.Worker) -> Iterator[Path]:
    """Yield the worker's own Python files, always in the same order."""
    base = worker.config.parent / Path(worker.main).parent
    for place, folders, files in os.walk(base):
        folders[:] = sorted(one for one in folders if one not in _LEFT_OUT and one[0] != ".")
        yield from sorted(Path(place) / one for one in files if one.endswith(".py"))


def _copied(worker: project.Worker, folder: Path) -> bool:
    """Copy the worker's modules and what decides about them; False for what cannot be."""
    root = worker.config.parent.resolve()
    taken = {k: v for k, v in project.parse(worker.config).items() if k in _TAKEN}
    main = (root / worker.main).resolve()
    base = (root / str(taken.get("base_dir", Path(worker.main).parent))).resolve()
    # Another base is not looked at: seen from there, modules have other names.
    if base != main.parent or not main.is_relative_to(root):
        return False
    settings = {
        **taken,
        "name": "memory",
        "main": main.relative_to(root).as_posix(),
        "compatibility_date": worker.date,
        "compatibility_flags": list(worker.flags),
    }
    (folder / "wrangler.json").write_text(json.dumps(settings))
    for path in modules(worker):
        target = folder / path.resolve().relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return (folder / main.relative_to(root)).is_file()


def _sent(session: Session, tools: Toolchain, folder: Path) -> bytes:
    """Return the configuration that wrangler has for the Python worker of a folder."""
    heard: queue.Queue[bytes] = queue.Queue()
    over = threading.Event()

    def answer(message: bytes) -> NoReturn:
        heard.put(message)
        over.wait()  # unanswered, no workerd is started, and none asks for its bundle
        raise WorkerdError("Only the configuration was wanted.")

    with broker.serving(answer, session.progress.note) as socket:
        environ = environment.of(session, tools, tools.wrangler.workerd)
        if socket:
            environ[shim.SOCKET] = socket
        command = [tools.node.executable, tools.wrangler.package / "bin" / "wrangler.js"]
        child = subprocess.Popen(
            snapshot_maker.humbly([*map(str, command), "dev", "--ip=127.0.0.1", "--port=0"]),
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=_ended, args=(child, heard), daemon=True).start()
        try:
            message = heard.get(timeout=_PATIENCE)
        except queue.Empty:
            message = b""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            over.set()
    if not message:
        raise WorkerdError("wrangler did not start the worker.")
    return message


def _ended(child: "subprocess.Popen[bytes]", heard: "queue.Queue[bytes]") -> None:
    child.wait()
    heard.put(b"")
