"""Is a folder as it was built, and does it run: under Node, and in a real browser."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline.errors import ToolchainError
from pyodide_offline.features.browser import chromium, folder, inside, serve
from pyodide_offline.features.browser.folder import Fault, Folder
from pyodide_offline.progress import working
from pyodide_offline.session import Session

NODE, CHROMIUM = "Node", "Chromium"


@dataclass(frozen=True)
class Run:
    """One run. ``size`` in bytes over the line, ``left`` are addresses outside of the folder."""

    where: str
    seconds: float
    requests: int
    size: int
    left: tuple[str, ...] = ()
    fault: str = ""

    @property
    def well(self) -> bool:
        """Whether it ran, and asked for nothing outside."""
        return not (self.left or self.fault)


@dataclass(frozen=True)
class Report:
    """What was found; a folder with faults is not run."""

    files: int
    size: int
    faults: tuple[Fault, ...]
    runs: tuple[Run, ...] = field(default=())

    @property
    def well(self) -> bool:
        """Whether nothing was found."""
        return not self.faults and all(run.well for run in self.runs)


def verify(session: Session, root: Path, *, browser: bool = False) -> Report:
    """Compare every file, then run the folder. Raises ProjectError, ToolchainError."""
    listed = folder.read(root)
    faults = tuple(folder.faults(listed))
    size = sum(file.size for file in listed.files.values())
    if faults:
        return Report(len(listed.files), size, faults)
    with working(session.progress, "Under Node"):
        runs = [_under_node(session, listed)]
    if browser:
        program = chromium.find(session.environ)
        with working(session.progress, "In Chromium"):
            runs.append(_in_chromium(session.environ, listed, program))
    return Report(len(listed.files), size, faults, tuple(runs))


def _under_node(session: Session, listed: Folder) -> Run:
    found = inside.run(session, "verify", listed.root.absolute(), _list(listed))
    fault = found.get("fault", "")
    if (status := found.get("status")) is not None and status >= 400:
        fault = f"The app answers {status} for its first page."
    left = tuple(found["asked"])
    return Run(NODE, float(found.get("seconds", 0)), len(left), 0, left, fault)


def _list(listed: Folder) -> Path:
    return listed.root.absolute() / folder.LIST


def _in_chromium(environ: Mapping[str, str], listed: Folder, program: Path) -> Run:
    limit = float(listed.about.get("limit", 120)) + 10
    with serve.started(listed) as url, chromium.opened(program, environ) as page:
        began = time.monotonic()
        page.open(url)
        try:
            state = page.wait("document.body?.dataset.ready", limit)
            if state == "yes" and listed.about.get("app"):
                page.wait("document.body.dataset.shown", limit)
            said = page.ask("document.getElementById('error').textContent")
            fault = "" if state == "yes" else " ".join(str(said).split())
        except ToolchainError as error:
            fault = str(error)
        seconds = time.monotonic() - began
        requests = list(page.requests.values())
    left = tuple(sorted({one.url for one in requests if not one.url.startswith(url)}))
    over_line = [one for one in requests if not one.cached]
    return Run(CHROMIUM, seconds, len(over_line), sum(one.size for one in over_line), left, fault)
