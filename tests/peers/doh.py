"""DNS-over-HTTPS servers that answer what a test says, and a proxy to go through.

HTTP/1.1 over TLS from the standard library: for faults that no real resolver can be
brought to make. The real ones are in ``resolvers``.
"""

import json
import socket
import ssl
import threading
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import dns.message
import dns.rdatatype
import dns.rrset

WIRE, JSON, HTML = "application/dns-message", "application/dns-json", "text/html"


@dataclass(frozen=True)
class Asked:
    """One request: the DNS message in it, unless it was for the JSON form."""

    method: str
    path: str
    headers: dict[str, str]
    wire: bytes

    @property
    def name(self) -> str:
        return dns.message.from_wire(self.wire).question[0].name.to_text(omit_final_dot=True)


@dataclass(frozen=True)
class Said:
    """An answer; ``hold`` is waited for before it is sent."""

    body: bytes
    type: str = WIRE
    status: int = 200
    hold: threading.Event | None = None


Respond = Callable[[Asked], Said]


def records(*lines: str) -> Respond:
    """Answer with those of the zone-file lines that have the type asked for, or a CNAME."""

    def respond(asked: Asked) -> Said:
        query = dns.message.from_wire(asked.wire)
        response = dns.message.make_response(query)
        for line in lines:
            owner, ttl, _, kind, value = line.split(maxsplit=4)
            if kind in ("CNAME", dns.rdatatype.to_text(query.question[0].rdtype)):
                response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, value))
        return Said(response.to_wire())

    return respond


def as_json(address: str, ttl: int = 60) -> Respond:
    """Answer every A question of the JSON form with an address, every other with nothing."""

    def respond(asked: Asked) -> Said:
        query = {key: value[0] for key, value in parse_qs(urlsplit(asked.path).query).items()}
        kind = int(dns.rdatatype.from_text(query["type"]))
        answer = [{"name": query["name"] + ".", "type": 1, "TTL": ttl, "data": address}]
        value = {
            "Status": 0,
            "TC": False,
            "Question": [{"name": query["name"], "type": kind}],
            "Answer": answer if kind == 1 else [],
        }
        return Said(json.dumps(value).encode(), JSON)

    return respond


@dataclass
class Server:
    """A server on loopback: ``with Server(context, respond) as server``."""

    tls: ssl.SSLContext
    respond: Respond
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                coded = parse_qs(urlsplit(self.path).query).get("dns", [""])[0]
                self._answer(urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))

            def _answer(self, wire: bytes) -> None:
                headers = {key.lower(): value for key, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, wire)
                outer.asked.append(asked)
                said = outer.respond(asked)
                if said.hold:
                    said.hold.wait(20)
                self.send_response(said.status)
                self.send_header("Content-Type", said.type)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
                # The handshake is made in the connection's own thread.
                with outer.tls.wrap_socket(request, server_side=True) as secure:
                    self.RequestHandlerClass(secure, client_address, self)  # type: ignore[arg-type]

            def handle_error(self, *_: object) -> None:
                pass  # a client that went away, as the losers of a race do

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, host: str = "dns.test", template: str = "") -> str:
        """Return it as ``--resolver`` takes it, with the address to connect to."""
        return f"https://{host}:{self.port}/dns-query{template}#127.0.0.1"


class Proxy:
    """A CONNECT proxy on loopback: every name is 127.0.0.1, with ``login`` only for it.

    With ``tls`` it is an https one.
    """

    def __init__(self, login: str = "", tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.targets: list[str] = []
        self._login = login

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A client that goes away, at whatever moment, is no fault of the proxy.
        with suppress(OSError):
            self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        if self._tls:
            client = self._tls.wrap_socket(client, server_side=True)
        with client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (byte := client.recv(1)):
                    return
                head += byte
            first, *lines = head.decode("latin-1").split("\r\n")
            given = [line.split()[-1] for line in lines if line.lower().startswith("proxy-auth")]
            if self._login and [self._login.encode()] != [b64decode(one) for one in given]:
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Proxy-Authenticate: Basic realm=there\r\nContent-Length: 0\r\n"
                    b"Connection: close\r\n\r\n"
                )
                return
            self.targets.append(first.split()[1])
            port = int(first.split()[1].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as far:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(far, client), daemon=True)
                back.start()
                _pump(client, far)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
