"""A project's page in Python's simple index, read in either form and written again: pure.

PEP 503 (HTML), 691 (JSON), 658 (metadata apart), 700 (versions). Addresses become relative, so
that they hold under any name and behind any proxy. Every file goes by its sha256; an index that
has none for a file leaves the mirror nothing to check, so such a file is left out.
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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

from pyodide_offline.errors import PyodideOfflineError, RegistryError

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
_FILE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._+!-]{0,250}")
_HEX = re.compile(r"[0-9a-f]{64}")


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


def is_file(sha256: str, name: str) -> bool:
    """Say whether these can be a file's digest and name."""
    return bool(_HEX.fullmatch(sha256) and _FILE.fullmatch(name))


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


def wants_json(accept: str) -> bool:
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
