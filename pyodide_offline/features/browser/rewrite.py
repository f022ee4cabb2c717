"""Point a page that loads Pyodide from a CDN at a folder: text → text, and what was changed.

Known are the addresses that Pyodide's own documentation gives, and those of npm's package on
the two CDNs that serve it. What is rewritten is the address alone; the folder's pyodide.js
and pyodide.mjs see to the rest. What else a page would ask for is told, not touched.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from pyodide_offline import disk
from pyodide_offline.distribution import lockfile
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import folder
from pyodide_offline.features.browser.folder import Folder

_END = r"[^/\"'`\s)<>\\]"
_CDN = re.compile(
    rf"(?:https?:)?//(?:cdn\.jsdelivr\.net/pyodide/(?P<one>{_END}+)/(?:full|debug|pyc)"
    rf"|(?:cdn\.jsdelivr\.net/npm|unpkg\.com)/pyodide(?:@(?P<two>{_END}+))?)"
    r"(?P<file>/[^\"'`\s)<>\\]*)?"
)
_TAG = re.compile(r"<(?:script|link)\b[^>]*>", re.IGNORECASE)
_SEALS = re.compile(
    r"""\s+(?:integrity|crossorigin)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+))?""", re.IGNORECASE
)
_ASKED = re.compile(
    r"""(?:<(?:script|link|img|iframe)\b[^>]*?\s(?:src|href)\s*=\s*["']"""
    r"""|\b(?:from|import)\s*\(?\s*["'`]"""
    r"""|\b(?:importScripts|fetch|Worker|open_url|pyfetch)\s*\(\s*["'`])"""
    r"""((?:https?:)?//[^"'`\s>]+)""",
    re.IGNORECASE,
)
_INSTALLED = re.compile(
    r"\b(?:micropip\.install|loadPackage)\s*\(\s*(\[[^\]]*\]|[\"'][^\"']+[\"'])"
)
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_SUFFIXES = {".html", ".htm", ".js", ".mjs"}
_SCRIPTS = ("pyodide.js", "pyodide.mjs")
_ELSEWHERE = "it is on another host"
BACKUP = ".orig"


@dataclass(frozen=True)
class Change:
    """One address; ``line`` counts from 1."""

    file: str
    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Left:
    """Something that would still be asked of another host, and why it was left."""

    file: str
    line: int
    what: str
    why: str


@dataclass(frozen=True)
class Rewritten:
    """A text after its rewriting."""

    text: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...]


def rewrite(
    target: Path, listed: Folder, *, at: str | None = None, dry_run: bool = False
) -> list[Rewritten]:
    """Rewrite a page, or each page and script of a folder; a copy of the first state is kept.

    ``at`` is where a page finds the folder, by default the way from its own place. Raises
    ProjectError, StorageError.
    """
    names = packages(listed)
    found = []
    for path in _pages(target, listed.root.resolve()):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                before = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"Cannot read {path}: {error}.") from error
        made = rewritten(before, str(path), at or _way(path, listed.root), listed, names)
        if made.changes and not dry_run:
            mode = stat.S_IMODE(path.stat().st_mode)
            kept = path.with_name(path.name + BACKUP)
            if not kept.exists():
                disk.write_whole(kept, before.encode(), mode)
            disk.write_whole(path, made.text.encode(), mode)
        if made.changes or made.left:
            found.append(made)
    return found


def packages(listed: Folder) -> Mapping[str, str]:
    """Return the file of each package in a folder by its normalized name."""
    where = listed.root / f"{listed.about['packages']}pyodide-lock.json"
    lock = lockfile.read(where.read_bytes(), str(where))
    return {one.name: one.file_name for one in lock.packages.values()}


def rewritten(text: str, file: str, at: str, listed: Folder, names: Mapping[str, str]) -> Rewritten:
    """Return a page's text with the CDN's addresses replaced; ``at`` ends with a slash."""
    changes: list[Change] = []
    left: list[Left] = []

    def line(place: int) -> int:
        return text.count("\n", 0, place) + 1

    def address(match: re.Match[str]) -> str:
        return _place((match["file"] or "").strip("/"), at, listed, names) or match[0]

    def tag(match: re.Match[str]) -> str:
        # What seals the CDN's bytes does not fit those of the folder.
        changed = _CDN.sub(address, match[0])
        return match[0] if changed == match[0] else _SEALS.sub("", changed)

    for match in _CDN.finditer(text):
        after = address(match)
        if after == match[0]:
            left.append(Left(file, line(match.start()), match[0], "it is not in the folder"))
        else:
            changes.append(Change(file, line(match.start()), match[0], after))
    for match in _ASKED.finditer(text):
        if not _CDN.match(match[1]):
            left.append(Left(file, line(match.start()), match[1], _ELSEWHERE))
    for match in _INSTALLED.finditer(text):
        for name in _QUOTED.findall(match[1]):
            wanted = canonicalize_name(re.split(r"[\s\[<>=!~;@]", name, maxsplit=1)[0])
            if "://" in name:
                left.append(Left(file, line(match.start()), name, _ELSEWHERE))
            elif wanted not in names:
                why = "the folder does not have this package"
                left.append(Left(file, line(match.start()), name, why))
    made = _CDN.sub(address, _TAG.sub(tag, text))
    return Rewritten(made, tuple(changes), tuple(sorted(left, key=lambda one: one.line)))


def _place(name: str, at: str, listed: Folder, names: Mapping[str, str]) -> str | None:
    """Return where in the folder a file of the CDN is; None if it is not there."""
    runtime, below = listed.about["runtime"], listed.about["packages"]
    if name == "" or name in _SCRIPTS:
        return f"{at}{name}"
    if name in {"pyodide-lock.json", "repodata.json"}:
        return f"{at}{below}pyodide-lock.json"
    if f"{runtime}{name}" in listed.files:
        return f"{at}{runtime}{name}"
    package = names.get(canonicalize_name(name.partition("-")[0])) if "-" in name else None
    return f"{at}{below}{package}" if package else None


def _way(page: Path, root: Path) -> str:
    """Return the relative address from a page to the folder; a module's must begin with a dot."""
    way = Path(os.path.relpath(root.resolve(), page.resolve().parent)).as_posix()
    return f"{way}/" if way.startswith(".") else f"./{way}/"


def _pages(target: Path, root: Path) -> Iterator[Path]:
    if target.is_file():
        yield target
        return
    if not target.is_dir():
        raise ProjectError(f"There is neither a page nor a folder {target}.")
    for base, folders, files in os.walk(target):
        folders[:] = sorted(
            name
            for name in folders
            if name != "node_modules"
            and not name.startswith(".")
            and (Path(base) / name).resolve() != root
        )
        for name in sorted(files):
            if Path(name).suffix.lower() in _SUFFIXES:
                yield Path(base) / name


def known(root: Path) -> Folder:
    """Return the folder's list; one without the stand-ins of the CDN's scripts is refused."""
    listed = folder.read(root)
    if not set(_SCRIPTS) <= set(listed.files):
        raise ProjectError(
            f"{root} has no {_SCRIPTS[0]} that could stand for the CDN's.",
            next_step="Build it anew: pyodide-offline browser build",
        )
    return listed
