"""The text of a hosts file with our lines put in and taken out. Pure.

The rules:

- Our lines come first: of several lines for a name the first one counts, and a file whose
  last line has no end is given back byte for byte.
- Each ends with a mark that names us, the process and, where it can be told, when that
  began: a number alone is given to another process some day.
- Lines without our mark are nobody's business of ours: never changed, never moved.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_MARK = re.compile(r"# pyodide-offline tunnel pid=(?P<pid>\d+) began=(?P<began>\d+)\s*$")


@dataclass(frozen=True)
class Owner:
    """The process that a line belongs to; ``began`` is 0 where that cannot be told."""

    pid: int
    began: int = 0

    @property
    def mark(self) -> str:
        """The comment at the end of its lines."""
        return f"# pyodide-offline tunnel pid={self.pid} began={self.began}"


def add(text: str, owner: Owner, names: Iterable[str], address: str) -> str:
    """Return the text with a line for each name; twice is the same as once."""
    rest = remove(text, lambda one: one == owner)
    end = "\r\n" if "\r\n" in rest else "\n"
    lines = [f"{address}\t{name}\t{owner.mark}{end}" for name in dict.fromkeys(names)]
    return "".join(lines) + rest


def remove(text: str, whose: Callable[[Owner], bool]) -> str:
    """Return the text without the lines of the owners that ``whose`` says."""
    kept = []
    for line in text.splitlines(keepends=True):
        found = owner_of(line)
        if found is None or not whose(found):
            kept.append(line)
    return "".join(kept)


def owners(text: str) -> list[Owner]:
    """Return whose lines are in the text, each once."""
    found = (owner_of(line) for line in text.splitlines())
    return list(dict.fromkeys(one for one in found if one))


def owner_of(line: str) -> Owner | None:
    """Return the owner of a line of ours; None for everybody else's."""
    found = _MARK.search(line)
    return Owner(int(found["pid"]), int(found["began"])) if found else None


def others(text: str, names: Iterable[str]) -> list[str]:
    """Return the lines of others that give one of the names an address."""
    wanted = {name.lower() for name in names}
    found = []
    for line in text.splitlines():
        words: Sequence[str] = line.partition("#")[0].split()
        if owner_of(line) is None and wanted & {word.lower() for word in words[1:]}:
            found.append(line.strip())
    return found
