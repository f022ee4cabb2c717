"""Python's simple index (PEP 503, 691, 700) and its files (PEP 658's metadata too).

    /simple/                        the projects that are held
    /simple/<project>/              HTML, or JSON where Accept asks for that
    /files/<sha256>/<file>          a file, or <file>.metadata

An upstream may speak either form. Addresses in a page are relative, so that they hold
under any name and behind any proxy. Every file goes by its sha256; an index that has none
for a file leaves the mirror nothing to check, so such a file is left out.
"""

import asyncio
import html
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.errors import PyodideOfflineError, RegistryError
from pyodide_offline.features.mirror.hits import Answer, Hits, warning
from pyodide_offline.features.mirror.indexing import Index, Indexing, Pins, Topic
from pyodide_offline.features.mirror.origins import PYPI, Origins
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Receive, Scope, Send, header
from pyodide_offline.features.mirror.upstream import Reply
from pyodide_offline.features.mirror.wanted import Want
from pyodide_offline.network import fetch

KIND = "pypi"
INDEX = "simple"
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
LARGEST_PAGE = 64_000_000
LARGEST_FILE = 2 << 30
METADATA = ".metadata"
_ACCEPT = f"{JSON}, {HTML};q=0.2, text/html;q=0.1"
_PROJECT = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,200}[a-zA-Z0-9])?")
_FILE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._+!-]{0,250}")
_HEX = re.compile(r"[0-9a-f]{64}")
_KEPT = 64


@dataclass(frozen=True)
class File:
    """One file of a project; ``extra`` is what the index says of it besides, in JSON's form."""

    name: str
    url: str
    sha256: str
    metadata: str = ""  # the sha256 of its METADATA, where the index has that apart
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """A page of the index that was read."""

    name: str
    files: tuple[File, ...]
    versions: tuple[str, ...] = ()

    def file(self, name: str, sha256: str) -> File | None:
        """Return the file of this name and digest."""
        return next((one for one in self.files if (one.name, one.sha256) == (name, sha256)), None)


class Simple:
    """Answers what lies under /simple/ and /files/."""

    def __init__(self, pull: Pull, indexing: Indexing, hits: Hits, origins: Origins) -> None:
        self._pull = pull
        self._indexing = indexing
        self._hits = hits
        self._origins = origins
        self._parsed: OrderedDict[str, Project] = OrderedDict()

    async def page(self, scope: Scope, send: Send, path: str) -> bool:
        """Answer a path below /simple/; False where nothing lies there."""
        name = path.removesuffix("/")
        if not name:
            await self._projects(scope, send)
            return True
        if not _PROJECT.fullmatch(name):
            return False
        if not path.endswith("/"):
            location = f"{quote(name)}/".encode()
            await Answer(301, b"", "text/plain", [(b"location", location)]).send(scope, send)
            return True
        index = await self._index(canonicalize_name(name))
        project = await self._read(index)
        as_json = _wants_json(header(scope, b"accept"))
        content = written_json(project) if as_json else written_html(project)
        headers = [
            (b"etag", f'"{digests.of_bytes(content).hex[:32]}"'.encode()),
            (b"cache-control", b"public, max-age=300"),
            (b"vary", b"accept"),
        ]
        if index.stale:
            headers.append(warning(index.stale))
        self._pull.events.hit(INDEX)
        kind = JSON if as_json else "text/html; charset=utf-8"
        await Answer(200, content, kind, headers).send(scope, send)
        return True

    async def file(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        """Answer a path below /files/; False where nothing lies there."""
        sha256, _, name = path.partition("/")
        if not _HEX.fullmatch(sha256) or not _FILE.fullmatch(name):
            return False
        found = self._pull.held(KIND, path) or await self._pull.known(KIND, path)
        want = None if found else await self.want(sha256, name)
        if want is None and found is None:
            return False
        await self._hits.send(scope, receive, send, self._pull, KIND, found, want)
        return True

    async def want(self, sha256: str, name: str) -> Want | None:
        """Return what a file must be and where it is; None if its project has none such."""
        of = name.removesuffix(METADATA)
        project = project_of(of)
        if project is None:
            return None
        found = (await self._read(await self._index(project))).file(of, sha256)
        if found is None or (of != name and not found.metadata):
            return None
        expected = sha256 if of == name else found.metadata
        index = self._origins.of(PYPI)
        # The index's login is for its own origin.
        headers = index.headers if fetch.origin(found.url) == fetch.origin(index.url) else {}
        url = found.url if of == name else f"{found.url}{METADATA}"
        source = replace(index, url=url, headers=headers, checked=True)
        return Want(
            kind=KIND,
            name=f"{sha256}/{name}",
            sources=[source],
            expected=Digest("sha256", bytes.fromhex(expected)),
            content_type="application/octet-stream" if of == name else "text/plain; charset=utf-8",
            limit=LARGEST_FILE,
        )

    async def _projects(self, scope: Scope, send: Send) -> None:
        found = []
        async for entry in self._pull.refbook.depot.list(f"refs/{INDEX}/"):
            found.append(entry.key.rpartition("/")[2])
        names = sorted(set(found))
        if _wants_json(header(scope, b"accept")):
            record = {"meta": {"api-version": "1.1"}, "projects": [{"name": one} for one in names]}
            await Answer(200, json.dumps(record).encode(), JSON).send(scope, send)
            return
        links = "\n".join(f'<a href="{quote(one)}/">{html.escape(one)}</a><br>' for one in names)
        page = f"<!DOCTYPE html><html><body>\n{links}\n</body></html>\n"
        await Answer(200, page.encode(), "text/html; charset=utf-8").send(scope, send)

    async def _index(self, project: str) -> Index:
        upstream = self._origins.of(PYPI)
        source = replace(
            upstream,
            url=f"{upstream.url}{quote(project)}/",
            headers={**upstream.headers, "Accept": _ACCEPT},
        )

        def judge(body: bytes, reply: Reply) -> Pins:
            found = read(body, reply.content_type, source.url, project)
            return {one.name: f"sha256:{one.sha256}" for one in found.files}

        topic = Topic(INDEX, project, source, LARGEST_PAGE, judge, (KIND, project))
        return await self._indexing.get(topic)

    async def _read(self, index: Index) -> Project:
        key = index.ref.digest
        if (found := self._parsed.get(key)) is None:
            url = f"{self._origins.of(PYPI).url}{quote(index.ref.name)}/"
            kind = index.ref.content_type
            found = await asyncio.to_thread(read, index.body, kind, url, index.ref.name)
            for one in found.files:
                self._origins.vouch(one.url, url)
            self._parsed[key] = found
            while len(self._parsed) > _KEPT:
                self._parsed.popitem(last=False)
        else:
            self._parsed.move_to_end(key)
        return found


def project_of(file: str) -> str | None:
    """Return the project that a wheel's or an sdist's file name tells."""
    try:
        if file.endswith(".whl"):
            return canonicalize_name(parse_wheel_filename(file)[0])
        return canonicalize_name(parse_sdist_filename(file)[0])
    except (InvalidWheelFilename, InvalidSdistFilename, ValueError):
        return None


def read(body: bytes, content_type: str, url: str, project: str) -> Project:
    """Read a page in either form; addresses become whole. Raises RegistryError."""
    try:
        if "json" in content_type.partition(";")[0]:
            return _read_json(json.loads(body), url, project)
        page = _Page()
        page.feed(body.decode("utf-8", "replace"))
        return Project(project, tuple(_linked(page, url)))
    except PyodideOfflineError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"The index's page of {project} cannot be used.",
            why=f"{type(error).__name__}: {error}"[:200],
            next_step="Ask who runs the index.",
        ) from error


def written_json(project: Project) -> bytes:
    """Return a page as PEP 691 has it."""
    files = []
    for one in project.files:
        metadata: dict[str, Any] = {}
        if one.metadata:
            value = {"sha256": one.metadata}
            metadata = {"core-metadata": value, "data-dist-info-metadata": value}
        files.append(
            {
                **one.extra,
                "filename": one.name,
                "url": _address(one),
                "hashes": {"sha256": one.sha256},
                **metadata,
            }
        )
    version = "1.1" if project.versions and all("size" in one for one in files) else "1.0"
    record: dict[str, Any] = {
        "meta": {"api-version": version},
        "name": project.name,
        "files": files,
    }
    if version == "1.1":
        record["versions"] = list(project.versions)
    return json.dumps(record, separators=(",", ":")).encode()


def written_html(project: Project) -> bytes:
    """Return a page as PEP 503 has it."""
    lines = []
    for one in project.files:
        attributes = {"href": f"{_address(one)}#sha256={one.sha256}"}
        if requires := one.extra.get("requires-python"):
            attributes["data-requires-python"] = str(requires)
        yanked = one.extra.get("yanked")
        if yanked:
            attributes["data-yanked"] = yanked if isinstance(yanked, str) else ""
        if one.metadata:
            attributes["data-core-metadata"] = f"sha256={one.metadata}"
            attributes["data-dist-info-metadata"] = f"sha256={one.metadata}"
        written = " ".join(f'{name}="{html.escape(text)}"' for name, text in attributes.items())
        lines.append(f"<a {written}>{html.escape(one.name)}</a><br>")
    head = '<meta name="pypi:repository-version" content="1.0">'
    title = html.escape(project.name)
    body = "\n".join(lines)
    return (
        f"<!DOCTYPE html><html><head>{head}<title>{title}</title></head>"
        f"<body>\n{body}\n</body></html>\n"
    ).encode()


def _address(file: File) -> str:
    return f"../../files/{file.sha256}/{quote(file.name)}"


def _wants_json(accept: str) -> bool:
    """Say whether JSON is wanted at least as much as HTML (RFC 9110 §12.5.1)."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0.0
    wanted = max(
        weights.get(JSON, 0.0), weights.get("application/vnd.pypi.simple.latest+json", 0.0)
    )
    return wanted > 0 and wanted >= max(weights.get(HTML, 0.0), weights.get("text/html", 0.0))


def _read_json(document: dict[str, Any], url: str, project: str) -> Project:
    files = []
    for one in document["files"]:
        sha256 = str(one.get("hashes", {}).get("sha256", ""))
        name = str(one["filename"])
        if not _HEX.fullmatch(sha256) or not _FILE.fullmatch(name):
            continue
        metadata = one.get("core-metadata", one.get("data-dist-info-metadata"))
        digest = str(metadata.get("sha256", "")) if isinstance(metadata, dict) else ""
        kept = ("requires-python", "yanked", "size", "upload-time", "gpg-sig")
        extra = {key: one[key] for key in kept if one.get(key) is not None}
        digest = digest if _HEX.fullmatch(digest) else ""
        files.append(File(name, urljoin(url, str(one["url"])), sha256, digest, extra))
    versions = document.get("versions")
    known = tuple(str(one) for one in versions) if isinstance(versions, list) else ()
    return Project(project, tuple(files), known)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.links: list[tuple[str, dict[str, str | None]]] = []
        self._open: dict[str, str | None] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "base":
            self.base = found.get("href") or ""
        if tag == "a" and found.get("href"):
            self._open, self._text = found, ""

    def handle_data(self, data: str) -> None:
        self._text += data if self._open is not None else ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.links.append((self._text.strip(), self._open))
            self._open = None


def _linked(page: _Page, url: str) -> list[File]:
    files = []
    for text, attributes in page.links:
        address, fragment = urldefrag(urljoin(urljoin(url, page.base), attributes["href"] or ""))
        name = unquote(address.rpartition("/")[2]) or text
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        if not _HEX.fullmatch(sha256) or not _FILE.fullmatch(name):
            continue
        told = attributes.get("data-core-metadata") or attributes.get("data-dist-info-metadata")
        metadata = (told or "").removeprefix("sha256=")
        extra: dict[str, Any] = {}
        if requires := attributes.get("data-requires-python"):
            extra["requires-python"] = requires
        if "data-yanked" in attributes:
            extra["yanked"] = attributes["data-yanked"] or True
        metadata = metadata if _HEX.fullmatch(metadata) else ""
        files.append(File(name, address, sha256, metadata, extra))
    return files
