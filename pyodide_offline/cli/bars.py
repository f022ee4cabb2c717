"""How long work is shown: bars on a terminal, plain lines in a log."""

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyodide_offline.progress import Task

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def note(text: str) -> None:
    """Say one line on standard error."""
    sys.stderr.write(f"pyodide-offline: {text}\n")
    sys.stderr.flush()


@dataclass
class _LineTask:
    label: str
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        size = f", {megabytes(self.done)}" if self.done else ""
        note(f"{self.label}{size}, {time.monotonic() - self.began:.1f} s")


@dataclass(frozen=True)
class Lines:
    """One line a piece of work, when it ends."""

    def task(self, label: str, total: int | None) -> Task:  # noqa: ARG002, D102
        return _LineTask(label)

    def note(self, text: str) -> None:
        """Say the line."""
        note(text)


@dataclass
class _BarTask:
    bars: "Progress"
    number: "TaskID"

    def advance(self, amount: int) -> None:
        self.bars.advance(self.number, amount)

    def finish(self) -> None:
        self.bars.remove_task(self.number)
        if not self.bars.tasks:
            self.bars.stop()


class Bars:
    """Bars with bytes, rate and time; rich is loaded when the first one is needed."""

    def __init__(self) -> None:
        self._bars: Progress | None = None

    def task(self, label: str, total: int | None) -> Task:  # noqa: D102
        bars = self._bars or self._make()
        self._bars = bars
        bars.start()
        return _BarTask(bars, bars.add_task(label, total=total))

    def note(self, text: str) -> None:
        """Say the line, above the bars."""
        if self._bars and self._bars.tasks:
            self._bars.console.print(f"pyodide-offline: {text}", markup=False, highlight=False)
        else:
            note(text)

    def _make(self) -> "Progress":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
