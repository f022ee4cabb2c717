"""miniflare's text with the two cache flags in it, and back: recognise, apply, revert.

Pure: text in, text out. Where the lines go and what they are is data (patches/*.yaml). The
rules: a place is found by what is there, and each part of it exactly once; our lines stand
between two marks, and the first mark carries the digest of the text without them, so that
a revert can prove that it gives back every byte; what is not understood is not touched.
"""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyodide_offline import digest as digests

_BEGIN = re.compile(r"\s*/\* pyodide-offline patch begins, original sha256:([0-9a-f]{64}) \*/\s*")
_END = re.compile(r"\s*/\* pyodide-offline patch ends \*/\s*")
_PLACEHOLDER = "@CACHE_DIR@"
_JS_STRING = r'("(?:\\.|[^"\\])*")'
# What may hide a bracket, then the brackets.
_TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[][(){}]""",
    re.DOTALL,
)


class State(enum.StrEnum):
    """What a file is."""

    ORIGINAL = "original"
    PATCHED = "patched"
    HALF = "half"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Recipe:
    """One file of ``patches/``: where, what is there, and what comes after it."""

    package: str
    file: str
    function: str
    element: str
    insert: tuple[str, ...]
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What a text is, why, and the lines that say so (``12: code``).

    ``stripped`` is the text without our lines; ``proven`` if it has the digest that a mark
    of ours carries. ``claimed`` are those digests, ``cache_dir`` the folder in our lines.
    """

    state: State
    reason: str = ""
    seen: tuple[str, ...] = ()
    stripped: str = ""
    proven: bool = False
    claimed: tuple[str, ...] = ()
    cache_dir: str | None = None


def recipe(data: Mapping[str, Any]) -> Recipe:
    """Read a parsed file of ``patches/``."""
    return Recipe(
        package=data["package"],
        file=data["file"],
        function=data["function"],
        element=data["element"],
        insert=tuple(data["insert"].rstrip("\n").split("\n")),
        foreign=tuple(data["foreign"]),
    )


def recognise(text: str, how: Recipe) -> Finding:
    """Say what a text is. Nothing is guessed: a part found twice makes it unknown."""
    lines = text.split("\n")
    begins = [match for line in lines if (match := _BEGIN.fullmatch(line))]
    ends = [line for line in lines if _END.fullmatch(line)]
    if not begins and not ends:
        return _without_marks(text, lines, how)
    kept = _strip(lines, how)
    stripped = "\n".join(kept)
    claimed = tuple(dict.fromkeys(match[1] for match in begins))
    proven = digests.of_bytes(stripped.encode()).hex in claimed
    rest = _without_marks(stripped, kept, how)
    marked = [number for number, line in enumerate(lines) if _is_mark(line)]
    seen = _shown(lines, marked)
    if rest.state is not State.ORIGINAL:
        reason = f"Some of our lines are in it, and without them: {rest.reason}"
        return Finding(State.HALF, reason, seen or rest.seen, stripped, proven, claimed)
    cache_dir = _cache_dir(lines, how)
    whole = cache_dir is not None and text == _insert(stripped, how, cache_dir, claimed[:1])
    if whole:
        reason = "" if proven else "The rest of the file was changed after it was patched."
        return Finding(State.PATCHED, reason, (), stripped, proven, claimed, cache_dir)
    reason = "Our lines in it are not whole, not once, or of another release."
    return Finding(State.HALF, reason, seen, stripped, proven, claimed, cache_dir)


def apply(original: str, how: Recipe, cache_dir: str) -> str:
    """Return an original text with our lines. ValueError if it is none, or for the folder."""
    finding = recognise(original, how)
    if finding.state is not State.ORIGINAL:
        raise ValueError(f"{finding.state}: {finding.reason}")
    cache_dir.encode()  # a name that is no Unicode cannot be written into a script
    return _insert(original, how, cache_dir, (digests.of_bytes(original.encode()).hex,))


def diff(before: str, after: str, name: str) -> str:
    """Return a unified diff of one hunk; empty where nothing differs.

    difflib would take seconds for a file of 100 000 lines; here only one spot changes.
    """
    old, new = before.split("\n"), after.split("\n")
    if old == new:
        return ""
    limit = min(len(old), len(new))
    head = next((n for n in range(limit) if old[n] != new[n]), limit)
    tail = next((n for n in range(limit - head) if old[-1 - n] != new[-1 - n]), limit - head)
    start = max(0, head - 3)
    after_hunk = old[len(old) - tail :][:3]
    removed, added = old[head : len(old) - tail], new[head : len(new) - tail]
    around = head - start + len(after_hunk)
    name = name.lstrip("/")
    return "\n".join(
        [
            f"--- a/{name}",
            f"+++ b/{name}",
            f"@@ -{start + 1},{around + len(removed)} +{start + 1},{around + len(added)} @@",
            *(f" {line}" for line in old[start:head]),
            *(f"-{line}" for line in removed),
            *(f"+{line}" for line in added),
            *(f" {line}" for line in after_hunk),
            "",
        ]
    )


def _without_marks(text: str, lines: Sequence[str], how: Recipe) -> Finding:
    foreign = [n for n, line in enumerate(lines) if any(sign in line for sign in how.foreign)]
    if foreign:
        reason = "It names workerd's cache flags, in lines that are not ours."
        return Finding(State.FOREIGN, reason, _shown(lines, foreign))
    try:
        _place(lines, how)
    except _ElsewiseError as error:
        return Finding(State.UNKNOWN, error.reason, _shown(lines, error.lines))
    return Finding(State.ORIGINAL, stripped=text, proven=True)


class _ElsewiseError(Exception):
    """The place does not look as the recipe says; ``lines`` come near to it."""

    def __init__(self, reason: str, lines: Sequence[int]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = lines


def _place(lines: Sequence[str], how: Recipe) -> int:
    """Return the number of the line after which ours come."""
    heads = [n for n, line in enumerate(lines) if line.strip() == how.function]
    if len(heads) != 1:
        name = how.function.partition("(")[0]
        near = heads or [n for n, line in enumerate(lines) if name in line or how.element in line]
        raise _ElsewiseError(f"{how.function!r} is in it {len(heads)} times, not once.", near)
    head = heads[0]
    closing = lines[head][: len(lines[head]) - len(lines[head].lstrip())] + "}"
    end = next((n for n in range(head, len(lines)) if lines[n].rstrip() == closing), None)
    if end is None:
        raise _ElsewiseError(f"{how.function!r} has no end.", [head])
    found = [n for n in range(head, end) if lines[n].strip() == how.element]
    if len(found) != 1:
        raise _ElsewiseError(
            f"{how.element} stands in its function {len(found)} times, not once.",
            found or list(range(head, min(end + 1, head + 5))),
        )
    if _innermost("\n".join(lines[head : found[0]])) != "[":
        raise _ElsewiseError(f"{how.element} is not in an array literal.", [head, *found])
    return found[0]


def _innermost(code: str) -> str:
    """Return the bracket that is open at the end of a piece of code."""
    stack = [""]
    for token in _TOKENS.findall(code):
        if token in ("[", "(", "{"):
            stack.append(token)
        elif token in ("]", ")", "}") and len(stack) > 1:
            stack.pop()
    return stack[-1]


def _insert(original: str, how: Recipe, cache_dir: str, digest: Sequence[str]) -> str:
    lines = original.split("\n")
    place = _place(lines, how)
    element = lines[place]
    indent = element[: len(element) - len(element.lstrip())]
    ending = "\r" if element.endswith("\r") else ""
    ours = [
        f"/* pyodide-offline patch begins, original sha256:{''.join(digest)} */",
        *(line.replace(_PLACEHOLDER, json.dumps(cache_dir)) for line in how.insert),
        "/* pyodide-offline patch ends */",
    ]
    lines[place + 1 : place + 1] = [f"{indent}{line}{ending}" for line in ours]
    return "\n".join(lines)


def _is_mark(line: str) -> bool:
    return bool(_BEGIN.fullmatch(line) or _END.fullmatch(line))


def _is_ours(line: str, how: Recipe) -> bool:
    return any(
        re.fullmatch(re.escape(one.strip()).replace(_PLACEHOLDER, _JS_STRING), line.strip())
        for one in how.insert
    )


def _cache_dir(lines: Sequence[str], how: Recipe) -> str | None:
    pattern = next(re.escape(one.strip()) for one in how.insert if _PLACEHOLDER in one)
    for line in lines:
        if match := re.fullmatch(pattern.replace(_PLACEHOLDER, _JS_STRING), line.strip()):
            return str(json.loads(match[1]))
    return None


def _strip(lines: Sequence[str], how: Recipe) -> list[str]:
    """Return the lines without ours: whole blocks, and what is left of broken ones."""
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if _BEGIN.fullmatch(line):
            end = next((n for n in range(place, len(lines)) if _is_mark(lines[n])), None)
            if end is not None and _END.fullmatch(lines[end]):
                place = end + 1
            else:
                while place < len(lines) and _is_ours(lines[place], how):
                    place += 1
        elif _END.fullmatch(line):
            while kept and _is_ours(kept[-1], how):
                kept.pop()
        else:
            kept.append(line)
    return kept


def _shown(lines: Sequence[str], near: Sequence[int]) -> tuple[str, ...]:
    """Return a few lines with their numbers, cut to a width that can be read."""
    return tuple(f"{number + 1}: {lines[number].rstrip()[:110]}" for number in near[:6])
