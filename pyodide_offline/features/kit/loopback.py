"""A kit's archives as an npm registry and a simple index, on this machine's loopback only.

npm, pip and uv are told of it by variables and install as ever: their locks stay as they
are, and each checks the digests that its lock has. Standard library's server: its clients
are a handful of programs of one user.

    /<package>  /<package>/<version>  /<package>/-/<file>     npm's registry
    /-/pypi/simple/<name>/  /-/pypi/files/<file>              PEP 503
"""

import html
import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from pyodide_offline import archive
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.kits.manifest import Item
from pyodide_offline.workers.toolchain import semver

HOST = "127.0.0.1"
_SIMPLE, _FILES = "/-/pypi/simple/", "/-/pypi/files/"
_WHEELS = {"wheel", "node", "uv"}
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "npm_config_proxy"}
_PROXIES |= {"npm_config_https_proxy", "npm_config_noproxy"}
# What would add another index, or answer for this one.
_INDEXES = {"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONSTRAINT", "PIP_PROXY"}
_INDEXES |= {"UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_INDEX_URL"}


class Shelf:
    """The archives by the names that are asked for; ``places`` maps hex digests to files."""

    def __init__(self, items: Sequence[Item], places: Mapping[str, Path]) -> None:
        self._places = places
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

    def tarball(self, name: str, file: str) -> Item | None:
        """Return the npm package that ``/<name>/-/<file>`` means."""
        found = self._npm.get(name, {}).values()
        return next((item for item in found if item.file == file), None)

    def wheel(self, file: str) -> Item | None:
        """Return a wheel by its file name."""
        return next((one[file] for one in self._wheels.values() if file in one), None)

    def version(self, name: str, version: str, origin: str) -> dict[str, object] | None:
        """Return npm's description of one version: its package.json and where it lies."""
        item = self._npm.get(name, {}).get(version)
        if item is None:
            return None
        address = f"{origin}/{quote(name, safe='@')}/-/{quote(item.file)}"
        dist = {"tarball": address, "integrity": item.upstream}
        return {**self._described(item), "dist": dist}

    def package(self, name: str, origin: str) -> dict[str, object] | None:
        """Return npm's description of a package with all versions of the kit."""
        if name not in self._npm:
            return None
        versions = sorted(self._npm[name], key=lambda one: (semver.parse(one) or (0, 0, 0), one))
        return {
            "name": name,
            "dist-tags": {"latest": versions[-1]},
            "versions": {one: self.version(name, one, origin) for one in versions},
        }

    def page(self, name: str) -> str | None:
        """Return a package's page of the simple index."""
        found = self._wheels.get(canonicalize_name(name))
        if not found:
            return None
        links = [
            f'<a href="{_FILES}{quote(file)}#sha256={item.sha256}">{html.escape(file)}</a><br>'
            for file, item in sorted(found.items())
        ]
        return "\n".join(["<!DOCTYPE html><html><body>", *links, "</body></html>", ""])

    def _describe(self, item: Item) -> dict[str, object]:
        # By npm's rule the first folder of a tarball may have any name.
        names = ["package/package.json", f"{item.name.rpartition('/')[2]}/package.json"]
        found = archive.read_members(self.path(item), names[:1]) or archive.read_members(
            self.path(item), names[1:]
        )
        document = json.loads(next(iter(found.values()), b"{}"))
        return {**document, "name": item.name, "version": item.version}


@contextmanager
def serving(shelf: Shelf) -> Iterator[str]:
    """Serve a shelf while the block runs; yields its address, ``http://127.0.0.1:PORT``."""
    server = _Server((HOST, 0), _Handler)
    server.shelf = shelf
    server.origin = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.origin
    finally:
        server.shutdown()
        server.server_close()


def environment(environ: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return the environment in which npm, pip and uv ask the shelf and nobody else.

    Proxies and logins of the user are left out: nothing here is fetched through them.
    """
    ours = {
        "npm_config_registry": f"{origin}/",
        "npm_config_replace_registry_host": "always",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        # Told to be offline, npm would not ask this registry either.
        "npm_config_offline": "false",
        "PIP_INDEX_URL": f"{origin}{_SIMPLE}",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_DEFAULT_INDEX": f"{origin}{_SIMPLE}",
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
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
    origin: str

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        with suppress(BrokenPipeError, ConnectionResetError):
            try:
                self._answer(path)
            except (PyodideOfflineError, OSError, ValueError) as error:
                self._send(500, f"{error}\n".encode(), "text/plain")

    def _answer(self, path: str) -> None:
        shelf = self.server.shelf
        if path.startswith(_SIMPLE):
            page = shelf.page(unquote(path.removeprefix(_SIMPLE)).strip("/"))
            self._text(page, "text/html; charset=utf-8")
        elif path.startswith(_FILES):
            self._file(shelf.wheel(unquote(path.removeprefix(_FILES))))
        else:
            self._npm(unquote(path).strip("/"))

    def _npm(self, path: str) -> None:
        shelf, origin = self.server.shelf, self.server.origin
        name, found, file = path.partition("/-/")
        if found:
            self._file(shelf.tarball(name, file))
            return
        if (document := shelf.package(path, origin)) is None:
            name, _, version = path.rpartition("/")
            document = shelf.version(name, version, origin)
        self._text(json.dumps(document) if document else None, "application/json")

    def _text(self, text: str | None, kind: str) -> None:
        if text is None:
            self._send(404, b'{"error":"not in the kit"}\n', "application/json")
        else:
            self._send(200, text.encode(), kind)

    def _file(self, item: Item | None) -> None:
        if item is None:
            self._text(None, "")
            return
        self._head(200, item.size, "application/octet-stream")
        if self.command != "HEAD":
            with self.server.shelf.path(item).open("rb") as content:
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
