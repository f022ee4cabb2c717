"""An OCI registry in memory, behind httpx: held to the same rules as docker-registry.

It may want a token, send blobs from another place, ignore ranges, or give a part.
"""

import re
from dataclasses import dataclass, field
from hashlib import sha256

import httpx

HOST = "registry.test"


@dataclass
class FakeRegistry:
    """Its content, and its manners."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    login: str = ""
    redirects: bool = False
    ranges: bool = True
    cut: int = 0
    page: int = 1000
    remembered: set[bytes] = field(default_factory=set)  # manifests that it takes and has not
    forgets_all: bool = False
    asked: list[httpx.Request] = field(default_factory=list)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.asked.append(request)
        if request.url.host == "store.test":
            return self._blob(request, self.blobs[request.url.path[1:]])
        if request.url.path == "/token":
            right = request.headers.get("Authorization") == f"Basic {self.login}"
            return httpx.Response(200 if right else 401, json={"token": "given"} if right else {})
        if self.login and request.headers.get("Authorization") != "Bearer given":
            wanted = f'Bearer realm="https://{HOST}/token",service="s",scope="repository:m:pull"'
            return httpx.Response(401, headers={"WWW-Authenticate": wanted})
        kind, _, rest = request.url.path.removeprefix("/v2/m/").partition("/")
        return getattr(self, f"_{kind}")(request, rest, body)  # type: ignore[no-any-return]

    def _manifests(self, request: httpx.Request, tag: str, body: bytes) -> httpx.Response:
        if request.method == "PUT":
            if body not in self.remembered and not self.forgets_all:
                self.manifests[tag] = body
            return httpx.Response(201)
        if tag not in self.manifests:
            return httpx.Response(404)
        found = self.manifests[tag]
        digest = f"sha256:{sha256(found).hexdigest()}"
        return httpx.Response(200, content=found, headers={"Docker-Content-Digest": digest})

    def _tags(self, request: httpx.Request, _: str, __: bytes) -> httpx.Response:
        last = request.url.params.get("last", "")
        tags = [tag for tag in sorted(self.manifests) if tag > last]
        if not self.manifests:
            return httpx.Response(404)
        more = {}
        if len(tags) > self.page:
            tags = tags[: self.page]
            more = {"Link": f'</v2/m/tags/list?n=1&last={tags[-1]}>; rel="next"'}
        return httpx.Response(200, json={"name": "m", "tags": tags}, headers=more)

    def _blobs(self, request: httpx.Request, rest: str, body: bytes) -> httpx.Response:
        if request.method == "POST":
            place = f"https://{HOST}/v2/m/blobs/uploads/1?state=x"
            return httpx.Response(202, headers={"Location": place})
        if request.method == "PUT":
            digest = request.url.params["digest"]
            right = digest == f"sha256:{sha256(body).hexdigest()}"
            right = right and request.headers["Content-Length"] == str(len(body))
            if right:
                self.blobs[digest] = body
            return httpx.Response(201 if right else 400)
        if rest not in self.blobs:
            return httpx.Response(404)
        if self.redirects and request.method == "GET":
            return httpx.Response(307, headers={"Location": f"https://store.test/{rest}"})
        return self._blob(request, self.blobs[rest])

    def _blob(self, request: httpx.Request, data: bytes) -> httpx.Response:
        status = 200
        if self.ranges and (wanted := request.headers.get("Range")):
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
            assert match is not None
            data, status = data[int(match[1]) : int(match[2]) + 1], 206
        return httpx.Response(status, content=data[: len(data) - self.cut])
