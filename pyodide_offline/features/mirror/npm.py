"""npm's registry: packuments in both forms, one version of them, tarballs.

    /npm/<name>              the packument; short where Accept asks for that
    /npm/<name>/<version>    one version, or dist-tag
    /npm/<name>/-/<file>     a tarball

A packument is the upstream's with one change: each ``dist.tarball`` is an address of this
mirror. Names with a scope come as ``@scope/name`` or ``@scope%2fname``.
"""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.distribution.npm import LARGEST_METADATA, LARGEST_TARBALL
from pyodide_offline.errors import RegistryError
from pyodide_offline.features.mirror.hits import Answer, Hits, warning
from pyodide_offline.features.mirror.indexing import Index, Indexing, Pins, Topic
from pyodide_offline.features.mirror.origins import Origins
from pyodide_offline.features.mirror.parsed import Parsed
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Receive, Scope, Send, header
from pyodide_offline.features.mirror.upstream import Reply, Source
from pyodide_offline.features.mirror.wanted import Want

KIND = "npm"
SHORT = "application/vnd.npm.install-v1+json"
PREFIX = "/npm/"
_NAME = re.compile(r"(@[a-zA-Z0-9~._-]{1,214}/)?[a-zA-Z0-9~._!'()*-]{1,214}")
_FILE = re.compile(r"[a-zA-Z0-9@~._+!'()*-]{1,250}\.tgz")


@dataclass(frozen=True)
class Tarball:
    """One version's file; ``expected`` is None where the registry gives no digest."""

    version: str
    url: str
    expected: Digest | None


@dataclass(frozen=True)
class Packument:
    """What the mirror serves of a package: text with a mark where its own address goes."""

    text: bytes
    mark: bytes
    tarballs: dict[str, Tarball]


class Npm:
    """Answers what lies under /npm/."""

    def __init__(self, pull: Pull, indexing: Indexing, hits: Hits, origins: Origins) -> None:
        self._pull = pull
        self._indexing = indexing
        self._hits = hits
        self._origins = origins
        self._parsed: Parsed[Packument] = Parsed()

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, path: str, base: str
    ) -> bool:
        """Answer a path below /npm/; False where nothing lies there."""
        name, rest = split(path)
        if "/-/" in path and not rest.startswith("-/"):
            name, rest = tail(path)
        if not name:
            return False
        if rest.startswith("-/"):
            file = rest.removeprefix("-/")
            if not _FILE.fullmatch(file):
                return False
            found = self._pull.held(KIND, f"{name}/-/{file}")
            want = None if found else await self.want(name, file)
            if want is None and found is None:
                return False
            await self._hits.send(scope, receive, send, self._pull, KIND, found, want)
            return True
        return await self._document(scope, send, name, rest, base)

    async def want(self, name: str, file: str) -> Want | None:
        """Return what a tarball must be and where it is; None if no version has it."""
        packument = await self._read(await self._index(name, short=True), name)
        tarball = packument.tarballs.get(file)
        if tarball is None:
            return None
        registry = self._origins.registry(name)
        return Want(
            kind=KIND,
            name=f"{name}/-/{file}",
            sources=_sources(registry, tarball),
            expected=tarball.expected,
            content_type="application/octet-stream",
            limit=LARGEST_TARBALL,
        )

    async def _document(self, scope: Scope, send: Send, name: str, rest: str, base: str) -> bool:
        short = not rest and SHORT in header(scope, b"accept")
        index = await self._index(name, short=short)
        packument = await self._read(index, name)
        content = await asyncio.to_thread(_placed, packument, base, rest)
        if content is None:
            return False
        headers = [
            (b"etag", f'"{digests.of_bytes(content).hex[:32]}"'.encode()),
            (b"cache-control", b"public, max-age=300"),
            (b"vary", b"accept"),
        ]
        if index.stale:
            headers.append(warning(index.stale))
        self._pull.events.hit("npm-index")
        kind = SHORT if short else "application/json"
        await Answer(200, content, kind, headers).send(scope, send)
        return True

    async def _index(self, name: str, *, short: bool) -> Index:
        registry = self._origins.registry(name)
        accept = f"{SHORT}, application/json;q=0.9" if short else "application/json"
        source = replace(
            registry,
            url=registry.url + quote(name, safe="@"),
            headers={**registry.headers, "Accept": accept},
        )
        kind = "npm-short" if short else "npm-full"

        def judge(body: bytes, _reply: Reply) -> Pins:
            found = read(body, name)
            for one in found.tarballs.values():
                if one.expected:
                    self._origins.vouch(one.url, self._origins.registry(name).url)
            return {
                one.version: one.expected.sri for one in found.tarballs.values() if one.expected
            }

        topic = Topic(kind, name, source, LARGEST_METADATA, judge, (KIND, name))
        return await self._indexing.get(topic)

    async def _read(self, index: Index, name: str) -> Packument:
        def first(found: Packument) -> None:
            for file, one in found.tarballs.items():
                if one.expected:
                    self._origins.vouch(one.url, self._origins.registry(name).url)
                    self._drop_other(f"{name}/-/{file}", one.expected.sri)

        return await self._parsed.get(index.ref.digest, lambda: read(index.body, name), first)

    def _drop_other(self, file: str, integrity: str) -> None:
        """Have what is remembered of a file looked up anew, where its index says another digest:
        a change that an operator accepted.
        """
        known = self._pull.refbook.known(KIND, file)
        if known and known.integrity and known.integrity != integrity:
            self._pull.refbook.forget(KIND, file)


def split(path: str) -> tuple[str, str]:
    """Return a package's name and what follows it; no name where it is none."""
    parts = path.split("/")
    count = 2 if path.startswith("@") else 1
    name, rest = "/".join(parts[:count]), "/".join(parts[count:])
    if not _NAME.fullmatch(name) or name.startswith((".", "-")):
        return "", ""
    return name, rest


def tail(path: str) -> tuple[str, str]:
    """Return the package and file at a path's end: locks of another registry have its folders
    before them, which npm keeps when it is told to ask here (replace-registry-host).
    """
    before, _, file = path.rpartition("/-/")
    parts = before.split("/")
    count = 2 if len(parts) > 1 and parts[-2].startswith("@") else 1
    return split(f"{'/'.join(parts[-count:])}/-/{file}")


def read(body: bytes, name: str) -> Packument:
    """Read a registry's packument. Raises RegistryError."""
    try:
        document: dict[str, Any] = json.loads(body)
        versions: dict[str, Any] = document["versions"]
        tarballs: dict[str, Tarball] = {}
        mark = f"mirror:{digests.of_bytes(body).hex[:32]}:"
        for version, described in versions.items():
            dist = described["dist"]
            url, expected = str(dist["tarball"]), _expected(dist)
            file = urlsplit(url).path.rpartition("/")[2]
            if not _FILE.fullmatch(file) or file in tarballs:
                file = f"{name.rpartition('/')[2]}-{version}.tgz"
            if not _FILE.fullmatch(file):
                continue
            tarballs[file] = Tarball(version, url, expected)
            dist["tarball"] = f"{mark}{PREFIX}{name}/-/{quote(file)}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"The registry's description of {name} cannot be used.",
            why=f"{type(error).__name__}: {error}"[:200],
            next_step="Ask who runs the registry.",
        ) from error
    text = json.dumps(document, separators=(",", ":")).encode()
    return Packument(text, mark.encode(), tarballs)


def _placed(packument: Packument, base: str, version: str) -> bytes | None:
    text = packument.text.replace(packument.mark, json.dumps(base)[1:-1].encode())
    if not version:
        return text
    document = json.loads(text)
    tags = document.get("dist-tags")
    wanted = tags.get(version, version) if isinstance(tags, dict) else version
    found = document["versions"].get(wanted) if isinstance(wanted, str) else None
    return json.dumps(found, separators=(",", ":")).encode() if found else None


def _expected(dist: dict[str, Any]) -> Digest | None:
    """Return the strongest digest that the registry tells; a SHA-1 is better than none."""
    if isinstance(integrity := dist.get("integrity"), str) and integrity:
        try:
            return digests.parse(integrity)
        except ValueError:
            pass
    shasum = dist.get("shasum")
    if isinstance(shasum, str) and re.fullmatch(r"[0-9a-f]{40}", shasum):
        return Digest("sha1", bytes.fromhex(shasum))
    return None


def _sources(registry: Source, tarball: Tarball) -> list[Source]:
    """Return where a tarball may be, best first.

    A registry often passes on metadata that names the place it copied from: the same path
    is tried at the registry itself first.
    """
    here, there = urlsplit(registry.url), urlsplit(tarball.url)
    checked = tarball.expected is not None
    if (here.scheme, here.netloc) == (there.scheme, there.netloc):
        return [replace(registry, url=tarball.url, checked=checked)]
    paths = [there.path]
    if here.path != "/" and not there.path.startswith(here.path):
        paths.insert(0, here.path.rstrip("/") + there.path)
    own = [
        replace(
            registry,
            url=urlunsplit((here.scheme, here.netloc, one, there.query, "")),
            checked=checked,
        )
        for one in paths
    ]
    return [*own, Source(tarball.url, {}, registry.ca_files, checked=checked)]
