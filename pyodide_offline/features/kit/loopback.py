"""A kit in place of the network, on this machine's loopback only.

npm, pip and uv are told by variables that a proxy is named here, and whom to trust. Whatever
registry, index or address their settings and locks name, the kit answers for it: locks and
settings stay as they are, and each program checks the digests that its lock has. What is not
in the kit is not found, at once and without a look-up of a name. Nothing is passed on.

Standard library's server: its clients are a handful of programs of one user.
"""

import shutil
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.kit.authority import Authority
from pyodide_offline.features.kit.shelf import Page, Shelf
from pyodide_offline.kits.manifest import Item

HOST = "127.0.0.1"
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "pip_proxy"}
_PROXIES |= {"npm_config_proxy", "npm_config_https_proxy", "npm_config_noproxy"}
# What would add another index to pip's, answer for it, or forbid to ask it.
_INDEXES = {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"}
_INDEXES |= {"PIP_CONSTRAINT", "UV_NO_INDEX"}
# A client that says nothing for so long is gone.
_SILENCE = 300


@dataclass(frozen=True)
class Served:
    """Where a kit answers, ``http://127.0.0.1:PORT``, and the file of its authority."""

    origin: str
    trusted: Path


@contextmanager
def serving(shelf: Shelf, authority: Authority) -> Iterator[Served]:
    """Answer from a shelf while the block runs."""
    server = _Server((HOST, 0), _Handler)
    server.shelf, server.authority = shelf, authority
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Served(f"http://{HOST}:{server.server_address[1]}", authority.file)
    finally:
        server.shutdown()
        server.server_close()


def environment(environ: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return the environment in which npm, pip and uv ask the kit and nobody else.

    Registries and indexes stay the user's; proxies and their logins are left out.
    """
    local = f"{HOST},localhost,::1"
    ours = {
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), origin),
        **dict.fromkeys(("NO_PROXY", "no_proxy", "npm_config_noproxy"), local),
        "npm_config_proxy": origin,
        "npm_config_https_proxy": origin,
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        # Told to be offline, npm and uv would not ask the kit either.
        "npm_config_offline": "false",
        "UV_OFFLINE": "0",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    taken = {name.lower() for name in ours}
    kept = {
        name: value
        for name, value in environ.items()
        if name.lower() not in _PROXIES | taken and name not in _INDEXES
    }
    return {**kept, **ours}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    shelf: Shelf
    authority: Authority

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE
    wbufsize = -1
    server: _Server
    _inside: ssl.SSLSocket | None = None
    _origin = ""

    def do_CONNECT(self) -> None:
        """Be the host that is asked for, in TLS."""
        target = urlsplit(f"//{self.path}")
        if self._inside or not target.hostname:
            self.send_error(400)
            return
        context = self.server.authority.context(target.hostname)
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self._inside = context.wrap_socket(self.connection, server_side=True)
        self.connection = self._inside
        self.rfile = self._inside.makefile("rb")
        self.wfile = self._inside.makefile("wb")
        self._origin = f"https://{self.path.removesuffix(':443')}"
        self.close_connection = False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            try:
                accept = self.headers.get("Accept", "")
                self._answer(self.server.shelf.find(self._url(), accept))
            except (PyodideOfflineError, OSError, ValueError) as error:
                self._send(500, f"{error}\n".encode(), "text/plain")

    def finish(self) -> None:
        """End the connection; the one in TLS is another object than the server knows."""
        try:
            super().finish()
        finally:
            if self._inside:
                self._inside.close()

    def _url(self) -> str:
        """Return what is asked for: of a proxy whole, within CONNECT and of an origin a path."""
        if not self.path.startswith("/"):
            return self.path
        return f"{self._origin or 'http://' + self.headers.get('Host', HOST)}{self.path}"

    def _answer(self, found: Item | Page | None) -> None:
        if isinstance(found, Page):
            self._send(200, found.text.encode(), found.kind)
        elif found is None:
            self._send(404, b'{"error":"not in the kit"}\n', "application/json")
        else:
            self._head(200, found.size, "application/octet-stream")
            if self.command != "HEAD":
                with self.server.shelf.path(found).open("rb") as content:
                    shutil.copyfileobj(content, self.wfile, 1 << 20)

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self._head(status, len(body), kind)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, size: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing."""
