"""Folders in a real browser: opened, visited, and every request looked at."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pyodide_offline.features.browser import chromium, folder, serve
from pyodide_offline.features.browser.chromium import Page, Request
from tests.peers.authority import Authority

PATIENCE = 150  # seconds: a busy machine takes ten times what a free one does


@dataclass(frozen=True)
class Site:
    """A folder in a browser."""

    page: Page
    url: str

    def open(self, path: str = "", query: str = "") -> None:
        """Open its page, anew, and wait until it is ready. Fails with what it says."""
        self.page.open("about:blank")
        self.page.open(f"{self.url}{query}{path and f'#{path}'}")
        state = self.page.wait("document.body?.dataset.ready", PATIENCE)
        assert state == "yes", self.error()
        if self.page.ask("!document.getElementById('view').hidden"):
            self.page.wait("document.body.dataset.shown", PATIENCE)

    def fails(self) -> str:
        """Open its page and return the error that it shows."""
        self.page.open("about:blank")
        self.page.open(self.url)
        self.page.wait("document.body?.dataset.ready === 'no'", PATIENCE)
        return self.error()

    def error(self) -> str:
        return str(self.page.ask("document.getElementById('error').textContent"))

    def visit(self, path: str) -> str:
        """Follow a link to a path of the app and return the text that it shows."""
        return self.act(f"location.hash = {json.dumps('#' + path)}")

    def act(self, script: str) -> str:
        """Do something that leads to another answer of the app; return its text."""
        self.page.ask(f"document.body.dataset.shown = '', {script}, 0")
        self.page.wait("document.body.dataset.shown", PATIENCE)
        return self.text()

    def text(self) -> str:
        return str(self.page.ask("document.getElementById('view').contentDocument.body.innerText"))

    def run(self, code: str) -> str:
        """Run Python on the page that is a console; return what it prints."""
        self.page.ask(
            f"document.getElementById('code').value = {json.dumps(code)},"
            "document.getElementById('console').requestSubmit(), 0"
        )
        script = "(t => t !== '…' && t)(document.getElementById('output').textContent)"
        return str(self.page.wait(script, PATIENCE))

    def outside(self) -> list[str]:
        """Return every address that was asked for and is not of the folder."""
        return [one.url for one in self.asked() if not one.url.startswith(self.url)]

    def asked(self) -> list[Request]:
        return list(self.page.requests.values())


@contextmanager
def browser() -> Iterator[Page]:
    """Start one that takes any certificate: that of ``remote`` has no authority."""
    with tempfile.TemporaryDirectory(prefix="trusting-") as scratch:
        program = Path(scratch) / "chromium"
        real = chromium.find(os.environ)
        program.write_text(f'#!/bin/sh\nexec {real} --ignore-certificate-errors "$@"\n')
        program.chmod(0o755)
        with chromium.opened(program, os.environ) as page:
            yield page


@contextmanager
def served(root: Path) -> Iterator[Site]:
    """Serve a folder with our own server, and have a browser for it."""
    with serve.started(folder.read(root)) as url, browser() as page:
        yield Site(page, url)


@contextmanager
def remote(data: bytes, scratch: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve these bytes at every path of another origin; yield it and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = Authority(scratch / "remote").server()
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def plain_server(root: Path) -> Iterator[str]:
    """Serve a folder below a sub-path with Python's own server; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    child = subprocess.Popen(
        command, cwd=root.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/{root.name}/"
    finally:
        child.kill()
        child.wait()
