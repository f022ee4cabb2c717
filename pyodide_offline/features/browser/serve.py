"""A server of one folder on loopback: right content types, ETag, immutable, Brotli, a policy.

Nothing is asked of a server but the files: any other one will do as well. An address with
``?v=`` and the beginning of a file's digest is of that content for ever (RFC 8246).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.browser import compress, folder
from pyodide_offline.features.browser.build import policy
from pyodide_offline.features.browser.folder import Folder

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".zip": "application/zip",
    ".whl": "application/zip",
    ".py": "text/x-python; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".metadata": "text/plain; charset=utf-8",
}
_ANY = "application/octet-stream"
_FOREVER = "max-age=31536000, immutable"


@dataclass(frozen=True)
class Answer:
    """Status, headers and the file that is the body, if there is one."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: Path | None = None


def answer(
    served: Folder, target: str, *, etag: str = "", encodings: str = "", prefix: str = "/"
) -> Answer:
    """Decide what a GET of ``target`` gets; ``etag`` is If-None-Match, RFC 9110 §13.1.2."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    if not path.startswith(prefix):
        return Answer(404)
    name = path.removeprefix(prefix)
    if name == "" or name.endswith("/"):
        name += folder.PAGE
    file = served.files.get(name)
    if file is None and name != folder.LIST:
        return Answer(404)
    where = served.root / name
    if not where.is_file():
        return Answer(404)
    version = parse_qs(parts.query).get("v", [""])[0]
    fixed = file is not None and version == folder.version(file.integrity)
    headers = [
        ("Content-Type", TYPES.get(where.suffix, _ANY)),
        ("Cache-Control", _FOREVER if fixed else "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        (
            "Content-Security-Policy",
            policy(allow_remote=bool(served.about.get("allow_remote")))
            + "; frame-ancestors 'none'",
        ),
    ]
    packed = where.with_name(where.name + compress.SUFFIX)
    if f"{name}{compress.SUFFIX}" in served.files:
        headers.append(("Vary", "Accept-Encoding"))
        if "br" in {one.split(";")[0].strip() for one in encodings.split(",")} and packed.is_file():
            headers.append(("Content-Encoding", "br"))
            where = packed
    found = where.stat()
    # Of the bytes that are there, and not of those that should be.
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    headers.append(("ETag", tag))
    if tag in {one.strip().removeprefix("W/") for one in etag.split(",")}:
        return Answer(304, tuple(headers))
    return Answer(200, (*headers, ("Content-Length", str(found.st_size))), where)


class _Handler(BaseHTTPRequestHandler):
    """One connection. Only this machine's own names are a host here: no DNS rebinding."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pyodide-offline", ""

    def __init__(self, served: Folder, prefix: str, *arguments: object) -> None:
        self._served, self._prefix = served, prefix
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send a file."""
        self._send(body=True)

    def do_HEAD(self) -> None:
        """Send what is said of a file."""
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in {"127.0.0.1", "localhost", "[::1]"}:
            made = Answer(421)  # RFC 9110 §15.5.20: misdirected
        else:
            made = answer(
                self._served,
                self.path,
                etag=self.headers.get("If-None-Match", ""),
                encodings=self.headers.get("Accept-Encoding", ""),
                prefix=self._prefix,
            )
        data = made.body.read_bytes() if made.body and body else b""
        self.send_response_only(made.status)
        self.send_header("Date", formatdate(usegmt=True))
        for name, value in made.headers:
            self.send_header(name, value)
        if made.body is None:
            self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser goes away whenever it likes."""


@contextmanager
def started(served: Folder, *, port: int = 0, prefix: str = "/") -> Iterator[str]:
    """Serve a folder in a thread; yield its address. Raises NetworkError if the port is taken."""
    try:
        server = _Server(("127.0.0.1", port), partial(_Handler, served, prefix))
    except OSError as error:
        raise NetworkError(
            f"Cannot listen on 127.0.0.1:{port}: {error.strerror}.",
            next_step="Name another one with --port.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
