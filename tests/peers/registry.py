"""A small npm registry on loopback: real HTTP, real tarballs, and faults to order.

    with Registry() as registry:
        registry.add("pyodide", "1.0.0", files={"package/pyodide.mjs": b"export {}"})
        registry.token = "s3cret"
        ...
        assert registry.paths() == ["/pyodide/1.0.0", "/pyodide/-/pyodide-1.0.0.tgz"]

Every answer can also be scripted: ``registry.script(path, Answer(503), Answer(200, body))``
gives them in this order, the last one for ever. ``Registry(tls=...)`` speaks https.
"""

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

BLOCK_PAGE = b"<!doctype html><title>Blocked</title><p>Ask your administrator."


@dataclass(frozen=True)
class Answer:
    """What is sent. ``cut``: the connection ends after so many bytes of the body.

    ``hold``: the second half of the body waits for this event.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Request:
    """What was asked, as it came in."""

    path: str
    headers: Mapping[str, str]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a .tgz with these files, the same bytes each time."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


class Registry:
    """The server. Change its attributes at any time; they count from the next request."""

    def __init__(self, *, path: str = "/", tls: ssl.SSLContext | None = None) -> None:
        self.prefix = path
        self.token: str | None = None  # a bearer token that is asked for
        self.basic: str | None = None  # "user:password" that is asked for
        self.packument_only = False  # 404 for <name>/<version>
        self.shasum_only = False  # metadata without dist.integrity
        self.tarball_host: str | None = None  # another origin that metadata names
        self.wrong_bytes = False  # tarballs of the right length, with other bytes
        self.requests: list[Request] = []
        self._tarballs: dict[tuple[str, str], bytes] = {}
        self._scripts: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self._events: list[threading.Event] = []
        self._tls = tls
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for event in self._events:
            event.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """What npm would be given as its registry."""
        return self.origin + self.prefix

    def add(
        self,
        name: str,
        version: str,
        *,
        files: Mapping[str, bytes] | None = None,
        tarball: bytes | None = None,
    ) -> bytes:
        """Publish a package and return its tarball."""
        data = tarball if tarball is not None else pack(files or {"package/package.json": b"{}"})
        self._tarballs[name, version] = data
        return data

    def script(self, path: str, *answers: Answer) -> None:
        """Answer a path (below the origin) with these, in order, the last one for ever."""
        with self._lock:
            self._scripts[path] = list(answers)
            self._events += [one.hold for one in answers if one.hold]

    def paths(self) -> list[str]:
        """Return the paths of all requests so far."""
        return [one.path for one in self.requests]

    def answer(self, request: Request) -> Answer:
        """Decide on an answer and log the request."""
        with self._lock:
            self.requests.append(request)
            if script := self._scripts.get(request.path):
                return script.pop(0) if len(script) > 1 else script[0]
        if not self._welcome(request):
            return _json({"error": "authentication required"}, 401)
        path = unquote(request.path)
        if not path.startswith(self.prefix):
            return _json({"error": "Not found"}, 404)
        path = path[len(self.prefix) :]
        for (name, version), data in self._tarballs.items():
            if path == self._file(name, version):
                return Answer(200, bytes(len(data)) if self.wrong_bytes else data)
            if path == f"{name}/{version}" and not self.packument_only:
                return _json(self._document(name, version))
            if path == name:
                mine = [one for one in self._tarballs if one[0] == name]
                return _json({"name": name, "versions": {v: self._document(n, v) for n, v in mine}})
        return _json({"error": "Not found"}, 404)

    def _welcome(self, request: Request) -> bool:
        wanted = []
        if self.token is not None:
            wanted.append(f"Bearer {self.token}")
        if self.basic is not None:
            wanted.append(f"Basic {base64.b64encode(self.basic.encode()).decode()}")
        return not wanted or request.authorization in wanted

    def _document(self, name: str, version: str) -> dict[str, Any]:
        data = self._tarballs[name, version]
        base = f"{self.tarball_host}/" if self.tarball_host else self.url
        dist = {
            "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            "tarball": base + self._file(name, version),
        }
        if not self.shasum_only:
            dist["integrity"] = integrity(data)
        return {"name": name, "version": version, "dist": dist}

    def _file(self, name: str, version: str) -> str:
        return f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = registry.answer(Request(self.path, headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Transfer-Encoding" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            body = answer.body if answer.cut is None else answer.body[: answer.cut]
            half = len(body) // 2 if answer.hold else len(body)
            self.wfile.write(body[:half])
            if answer.hold:
                answer.hold.wait()
                self.wfile.write(body[half:])
            if answer.cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler
