"""Python's simple index (PEP 503, 691, 700) and its files (PEP 658's metadata too).

    /simple/                        the projects that are held
    /simple/<project>/              HTML, or JSON where Accept asks for that
    /files/<sha256>/<file>          a file, or <file>.metadata

What a page says is `projects`'.
"""

import html
import json
import re
from dataclasses import replace
from urllib.parse import quote

from packaging.utils import canonicalize_name

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.features.mirror import projects
from pyodide_offline.features.mirror.hits import Answer, Hits, warning
from pyodide_offline.features.mirror.indexing import Index, Indexing, Pins, Topic
from pyodide_offline.features.mirror.origins import PYPI, Origins
from pyodide_offline.features.mirror.parsed import Parsed
from pyodide_offline.features.mirror.projects import HTML, JSON, Project
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Receive, Scope, Send, header
from pyodide_offline.features.mirror.upstream import Reply
from pyodide_offline.features.mirror.wanted import Want
from pyodide_offline.network import fetch

KIND = "pypi"
INDEX = "simple"
LARGEST_PAGE = 64_000_000
LARGEST_FILE = 2 << 30
METADATA = ".metadata"
_ACCEPT = f"{JSON}, {HTML};q=0.2, text/html;q=0.1"
_PROJECT = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,200}[a-zA-Z0-9])?")


class Simple:
    """Answers what lies under /simple/ and /files/."""

    def __init__(self, pull: Pull, indexing: Indexing, hits: Hits, origins: Origins) -> None:
        self._pull = pull
        self._indexing = indexing
        self._hits = hits
        self._origins = origins
        self._parsed: Parsed[Project] = Parsed()

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
        as_json = projects.wants_json(header(scope, b"accept"))
        content = projects.written_json(project) if as_json else projects.written_html(project)
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
        if not projects.is_file(sha256, name):
            return False
        found = self._pull.held(KIND, path)
        if found is None:
            found = await self._pull.known(KIND, path)
            if found and found.digest.hex == sha256:
                self._pull.refbook.note(KIND, path)
        want = None if found else await self.want(sha256, name)
        if want is None and found is None:
            return False
        await self._hits.send(scope, receive, send, self._pull, KIND, found, want)
        return True

    async def want(self, sha256: str, name: str) -> Want | None:
        """Return what a file must be and where it is; None if its project has none such."""
        of = name.removesuffix(METADATA)
        project = projects.project_of(of)
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
        if projects.wants_json(header(scope, b"accept")):
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
            found = projects.read(body, reply.content_type, source.url, project)
            return {one.name: f"sha256:{one.sha256}" for one in found.files}

        topic = Topic(INDEX, project, source, LARGEST_PAGE, judge, (KIND, project))
        return await self._indexing.get(topic)

    async def _read(self, index: Index) -> Project:
        name, kind = index.ref.name, index.ref.content_type
        url = f"{self._origins.of(PYPI).url}{quote(name)}/"

        def first(found: Project) -> None:
            for one in found.files:
                self._origins.vouch(one.url, url)

        def read() -> Project:
            return projects.read(index.body, kind, url, name)

        return await self._parsed.get(index.ref.digest, read, first)
