"""How long work tells what it is doing, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """A listener. ``total`` is in bytes; None where nobody knows it."""

    def task(self, label: str, total: int | None) -> "Task":
        """Begin a piece of work."""

    def note(self, text: str) -> None:
        """Say one line that is not a piece of work."""


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: int) -> None:
        """Count bytes done."""

    def finish(self) -> None:
        """End the work, well or not."""


@dataclass(frozen=True)
class _SilentTask:
    def advance(self, amount: int) -> None:
        pass

    def finish(self) -> None:
        pass


@dataclass(frozen=True)
class Silent:
    """Listens to nothing."""

    def task(self, label: str, total: int | None) -> Task:  # noqa: ARG002, D102
        return _SilentTask()

    def note(self, text: str) -> None:
        """Drop the line."""


@contextmanager
def working(progress: Progress, label: str, total: int | None = None) -> Iterator[Advance]:
    """Run a block as one task; yields the function that counts bytes."""
    task = progress.task(label, total)
    try:
        yield task.advance
    finally:
        task.finish()
