"""A site on loopback for requests that workers make: pages, streams, redirects, WebSockets.

with website() as plain, website(authority.server()) as secure:
    plain.port, plain.asked     # asked: (method, path, headers) of each request
"""

import base64
import hashlib
import random
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PIECE = 1 << 16
# RFC 6455, section 1.3: what a server adds to the key before it hashes it.
_ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Website:
    """A running one."""

    port: int
    asked: list[tuple[str, str, Message]] = field(default_factory=list)


def content(size: int) -> Iterator[bytes]:
    """Give bytes that look random and are the same each time."""
    dice = random.Random(size)  # noqa: S311 - no secret
    while size > 0:
        yield dice.randbytes(min(size, PIECE))
        size -= PIECE


def digest(size: int) -> str:
    """Return the SHA-256 of ``content``."""
    made = hashlib.sha256()
    for piece in content(size):
        made.update(piece)
    return made.hexdigest()


@contextmanager
def website(tls: ssl.SSLContext | None = None) -> Iterator[Website]:
    """Serve; with TLS where there is a context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append((self.command, self.path, self.headers))
            with suppress(OSError):
                self._get()

        def do_POST(self) -> None:
            """Take a body; give back its digest, and as many bytes as it had."""
            site.asked.append((self.command, self.path, self.headers))
            with suppress(OSError):
                made, size = hashlib.sha256(), 0
                for piece in self._body():
                    made.update(piece)
                    size += len(piece)
                self.send_response(200)
                self.send_header("X-Digest", made.hexdigest())
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in content(size):
                    self._chunk(piece)
                self._chunk(b"")

        def _get(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/redirect":
                self.send_response(302)
                self.send_header("Location", "/elsewhere?x=1")
                self.send_header("Set-Cookie", "a=1")
                self.send_header("Set-Cookie", "b=2")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif parts.path == "/events":
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self._chunk(b"data: first\n\n")
                # The second comes when the first was read and answered, or never.
                told.wait(20)
                self._chunk(b"data: second\n\n")
                self._chunk(b"")
            elif parts.path == "/told":
                told.set()
                self._page("thanks")
            elif parts.path == "/ws":
                self._websocket()
            else:
                query = parse_qs(parts.query)
                self._page(f"page {parts.path} of {self.headers['Host']} {query or ''}".strip())

        def _page(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def _body(self) -> Iterator[bytes]:
            if self.headers["Transfer-Encoding"] is None:
                left = int(self.headers["Content-Length"] or 0)
                while left:
                    piece = self.rfile.read(min(left, PIECE))
                    left -= len(piece)
                    yield piece
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _chunk(self, piece: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

        def _websocket(self) -> None:
            """Give back texts in capitals until the client closes."""
            key = self.headers["Sec-WebSocket-Key"] + _ACCEPT
            accept = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
            self.end_headers()
            self.close_connection = True
            while len(start := self.rfile.read(2)) == 2:
                size = start[1] & 0x7F
                mask = self.rfile.read(4)
                masked = self.rfile.read(size)
                text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
                answer = text.upper() if start[0] & 15 == 1 else text
                self.wfile.write(bytes([start[0], size]) + answer)
                if start[0] & 15 == 8:
                    return

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes away, or does not trust us, is no news."""

    told = threading.Event()
    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    site = Website(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
