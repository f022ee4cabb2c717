"""Which Pythons a workerd binary offers: over all dates, and by which flags.

Asked of the binary. A release has two or three, each from a date on and by a flag of its
own whose name stands in the binary.
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import process
from pyodide_offline.errors import ToolchainError, WorkerdError
from pyodide_offline.store import Store
from pyodide_offline.workers import interface, probe
from pyodide_offline.workers.probe import Want

PYTHON_FLAG = "python_workers"
# Python workers are older than any release that is asked, so this is before every switch.
_EARLIEST = "2024-01-01"


@dataclass(frozen=True)
class Offer:
    """A bundle that a binary asks for, with a date and flags that make it do so."""

    date: str
    flags: tuple[str, ...]
    want: Want


def every(store: Store, binary: Path, newest: str) -> list[Offer]:
    """Return one offer for each bundle of a binary whose own date is ``newest``.

    Dates are halved until both ends of each span want the same; flags are then tried one
    by one. Raises WorkerdError if it says nothing at all.
    """
    found: dict[str, Offer] = {}

    def ask(date: str, *more: str) -> str:
        flags = (PYTHON_FLAG, *more)
        want = probe.want(store, binary, date, flags)
        found.setdefault(want.bundle_id, Offer(date, flags, want))
        return want.bundle_id

    def halve(first: datetime.date, last: datetime.date) -> None:
        middle = first + (last - first) // 2
        if middle == first or ask(str(first)) == ask(str(last)):
            return
        halve(first, middle)
        halve(middle, last)

    halve(datetime.date.fromisoformat(_EARLIEST), datetime.date.fromisoformat(newest))
    for flag in interface.dated_flags(store, binary):
        try:
            ask(_EARLIEST, flag)
        except WorkerdError:
            continue  # a name that is in the binary, but no flag of its own
    return list(found.values())


def own_date(binary: Path) -> str:
    """Return the date that a workerd tells as its version. Raises WorkerdError."""
    probe.check(binary)
    try:
        said = process.capture([binary, "--version"], timeout=10)
    except ToolchainError as error:
        raise WorkerdError(
            error.what, next_step="Name a workerd binary of this machine."
        ) from error
    found = re.search(r"\d{4}-\d{2}-\d{2}", said.stdout)
    if not found:
        raise WorkerdError(
            f"{binary} does not tell its version as workerd does.",
            next_step="Name a workerd binary of this machine.",
        )
    return str(datetime.date.fromisoformat(found[0]))


def choosing(
    store: Store, binary: Path, date: str, flags: Sequence[str], fits: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the flags to add so that a worker of this date runs on another Pyodide.

    ``fits`` are beginnings of its version, the best first. None if no flag does it.
    """
    dated = interface.dated_flags(store, binary)
    for prefix in fits:
        for flag in (None, *dated):
            others = tuple(f"no_{other}" for other in dated if other != flag)
            ways = [(flag,), (flag, *others)] if flag else [()]
            for added in ways:
                try:
                    want = probe.want(store, binary, date, probe.merged(flags, added))
                except WorkerdError:
                    continue
                if want.pyodide.startswith(prefix):
                    return added
    return None
