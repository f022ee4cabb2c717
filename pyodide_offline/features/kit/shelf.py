"""A kit's archives by what their clients ask for: npm's registry, a simple index, an address.

Any host's address will do. Which archive is meant is told by the project's locks, else by the
end of the path, as registries and indexes lay them out below whatever path is theirs:

    <package>  <package>/<version>  <package>/-/<file>     npm's registry
    simple/<name>/  <file>.whl                             PEP 503
"""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from pyodide_offline import archive
from pyodide_offline.kits.manifest import Item
from pyodide_offline.workers.toolchain import semver

_WHEELS = {"wheel", "node", "uv"}
_SIMPLE = ("application/vnd.pypi.simple", "text/html")
_FILES = "/-/pypi/files/"


@dataclass(frozen=True)
class Page:
    """A text that answers a request."""

    text: str
    kind: str


class Shelf:
    """The archives by the names that are asked for; ``places`` maps hex digests to files.

    ``addresses`` are those that the project's locks have (see ``addresses``).
    """

    def __init__(
        self,
        items: Sequence[Item],
        places: Mapping[str, Path],
        addresses: Mapping[str, Item] | None = None,
    ) -> None:
        self._places = places
        self._addresses = {
            _plain(url): item for url, item in (addresses or {}).items() if item.sha256 in places
        }
        # Where its maker has a wheel, so that a lock made now names the same place.
        self._makers = {item.sha256: url for url, item in (addresses or {}).items()}
        self._npm: dict[str, dict[str, Item]] = {}
        self._wheels: dict[str, dict[str, Item]] = {}
        for item in items:
            if item.sha256 not in places:
                continue
            if item.kind == "npm":
                self._npm.setdefault(item.name, {})[item.version] = item
            elif item.kind in _WHEELS:
                self._wheels.setdefault(canonicalize_name(item.name), {})[item.file] = item
        self._described = cache(self._describe)

    def path(self, item: Item) -> Path:
        """Return where an item's bytes lie."""
        return self._places[item.sha256]

    def find(self, url: str, accept: str = "") -> Item | Page | None:
        """Return what a GET of an address means; None for what is not in the kit."""
        if item := self._addresses.get(_plain(url)):
            return item
        split = urlsplit(url)
        path = unquote(split.path)
        if item := self._wheel(path.rpartition("/")[2]):
            return item
        parts = [part for part in path.split("/") if part]
        if any(one in accept for one in _SIMPLE) or "simple" in parts[:-1]:
            return self._simple(parts[-1]) if parts else None
        origin = f"{split.scheme}://{split.netloc}"
        # A registry may lie below a path of its own.
        for start in range(len(parts)):
            above = "".join(f"/{part}" for part in parts[:start])
            if found := self._registry("/".join(parts[start:]), f"{origin}{above}"):
                return found
        return None

    def _registry(self, asked: str, registry: str) -> Item | Page | None:
        name, found, file = asked.partition("/-/")
        if found:
            held = self._npm.get(name, {}).values()
            return next((item for item in held if item.file == file), None)
        document = self._package(asked, registry)
        if document is None:
            name, _, version = asked.rpartition("/")
            document = self._version(name, version, registry)
        return Page(json.dumps(document), "application/json") if document else None

    def _version(self, name: str, version: str, registry: str) -> dict[str, object] | None:
        """Return npm's description of one version: its package.json and where it lies."""
        item = self._npm.get(name, {}).get(version)
        if item is None:
            return None
        address = f"{registry}/{quote(name, safe='@/')}/-/{quote(item.file)}"
        dist = {"tarball": address, "integrity": item.upstream}
        return {**self._described(item), "dist": dist}

    def _package(self, name: str, registry: str) -> dict[str, object] | None:
        """Return npm's description of a package with all versions of the kit."""
        if name not in self._npm:
            return None
        versions = sorted(self._npm[name], key=lambda one: (semver.parse(one) or (0, 0, 0), one))
        return {
            "name": name,
            "dist-tags": {"latest": versions[-1]},
            "versions": {one: self._version(name, one, registry) for one in versions},
        }

    def _wheel(self, file: str) -> Item | None:
        return next((one[file] for one in self._wheels.values() if file in one), None)

    def _simple(self, name: str) -> Page | None:
        found = self._wheels.get(canonicalize_name(name))
        if not found:
            return None
        links = [
            f'<a href="{html.escape(self._link(item))}">{html.escape(file)}</a><br>'
            for file, item in sorted(found.items())
        ]
        text = "\n".join(["<!DOCTYPE html><html><body>", *links, "</body></html>", ""])
        return Page(text, "text/html; charset=utf-8")

    def _link(self, item: Item) -> str:
        address = self._makers.get(item.sha256, f"{_FILES}{quote(item.file)}")
        return f"{address.partition('#')[0]}#sha256={item.sha256}"

    def _describe(self, item: Item) -> dict[str, object]:
        # By npm's rule the first folder of a tarball may have any name.
        names = ["package/package.json", f"{item.name.rpartition('/')[2]}/package.json"]
        found = archive.read_members(self.path(item), names[:1]) or archive.read_members(
            self.path(item), names[1:]
        )
        document = json.loads(next(iter(found.values()), b"{}"))
        return {**document, "name": item.name, "version": item.version}


def _plain(url: str) -> str:
    """Return an address without login, port of its scheme, query and fragment, unquoted."""
    split = urlsplit(url)
    host = split.hostname or ""
    try:
        port = split.port
    except ValueError:
        port = None
    if port and port != {"https": 443, "http": 80}.get(split.scheme):
        host = f"{host}:{port}"
    return f"{split.scheme}://{host}{unquote(split.path)}"
