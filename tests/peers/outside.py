"""The world outside of a scene: a name server, sites with TLS, DNS over HTTPS, a proxy.

Everything runs in threads of one process, on addresses that the namespace has. What it is
like is data (see tests/scenes/README.md): a ``World`` reads it once.
"""

import asyncio
import base64
import datetime
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# Name of each authority → what its certificates call it. "public" stands for the roots that
# the system's store has.
AUTHORITIES: Mapping[str, str] = {
    "public": "Scene Public Root",
    "zscaler": "Zscaler Root CA",
    "company": "Example Corp Inspection CA",
}
DOH = "dns.test"
_FAULTS = ("", "expired", "early", "other-name")


def authorities(folder: Path, names: Mapping[str, tuple[str, str]]) -> None:
    """Make the authorities' files: NAME.pem, and for each fault a leaf for all names."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [host for host, _ in names.values()]
    for name, title in AUTHORITIES.items():
        for file, content in _issue(title, [*hosts, DOH, "proxy.test"]).items():
            (folder / f"{name}{file}").write_bytes(content)


def _issue(title: str, hosts: list[str]) -> dict[str, bytes]:
    """Return an authority's files by the end of their names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    root_key = ec.generate_private_key(ec.SECP256R1())
    organization = title.rpartition(" ")[0]
    root_name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, title),
        ]
    )
    key_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        x509.CertificateBuilder()
        .subject_name(root_name)
        .issuer_name(root_name)
        .public_key(root_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3650 * day)
        .not_valid_after(now + 3650 * day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_id, critical=False)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),
            critical=True,
        )
        .sign(root_key, hashes.SHA256())
    )
    files = {".pem": root.public_bytes(serialization.Encoding.PEM)}
    spans = {
        "": (now - 2 * day, now + 30 * day),
        "expired": (now - 40 * day, now - 10 * day),
        "early": (now + 10 * day, now + 40 * day),
        "other-name": (now - 2 * day, now + 30 * day),
    }
    for fault in _FAULTS:
        key = ec.generate_private_key(ec.SECP256R1())
        covered = ["elsewhere.test"] if fault == "other-name" else hosts
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, covered[0])]))
            .issuer_name(root_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(spans[fault][0])
            .not_valid_after(spans[fault][1])
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host) for host in covered]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files[f"-{fault or 'good'}.leaf"] = (
            private + leaf.public_bytes(serialization.Encoding.PEM) + files[".pem"]
        )
    return files


class World:
    """Opens what a scene's ``network`` says. ``asked`` is what the proxy and sites were asked."""

    def __init__(
        self,
        network: Mapping[str, Any],
        sites: Mapping[str, tuple[str, str]],
        authorities: Path,
    ) -> None:
        self.asked: list[str] = []
        self._network = network
        self._sites = sites
        self._authorities = authorities
        self._names = dict(sites.values())
        self._names |= network.get("names") or {}

    def open(self, *, dns: str, proxy: tuple[str, int]) -> None:
        """Start everything; it ends with the process."""
        mode = self._network.get("dns", "answers")
        if mode not in ("absent", "refused"):
            _thread(_serve_dns, _bound(dns), mode, dict(self._dns_names()))
        told = self._network.get("sites") or {}
        for name, (_, address) in self._sites.items():
            site = told.get(name, {})
            if site is not None and site != "down":
                self._site(name, address, site)
        doh = self._network.get("doh", {})
        if doh is not None and doh != "down":
            self._doh(dns, doh)
        box = self._network.get("proxy")
        if box is not None and "program" not in box:
            ready = threading.Event()
            _thread(lambda: asyncio.run(self._proxy(box, proxy, ready)))
            assert ready.wait(10)

    def _dns_names(self) -> Mapping[str, str]:
        """Return what the system's name server knows: less, more or other than the world."""
        known = dict(self._names)
        for name, address in (self._network.get("dns_names") or {}).items():
            if address is None:
                known.pop(name, None)
            else:
                known[name] = address
        return known

    def _context(self, site: Mapping[str, Any]) -> ssl.SSLContext:
        authority, fault = site.get("authority", "public"), site.get("certificate", "good")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._authorities / f"{authority}-{fault}.leaf")
        return context

    def _site(self, name: str, address: str, site: Mapping[str, Any]) -> None:
        if site.get("answers") == "silence":
            listening = socket.create_server((address, 443))
            _thread(_swallow, listening)
            return
        answer = _Answer(
            status=site.get("status", 200),
            body=str(site.get("body", _BODIES[name])).encode(),
            kind=site.get("type", _TYPES[name]),
            headers=site.get("headers") or {},
            late=float(site.get("clock", 0)),
            token=site.get("token", ""),
        )
        server = _Server((address, 443), _handler(name, answer, self.asked))
        server.socket = self._context(site).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        _thread(server.serve_forever, 0.02)

    def _doh(self, address: str, doh: Mapping[str, Any]) -> None:
        names = {**self._names, **(doh.get("names") or {})}
        server = _Server((address, 443), _doh_handler(names))
        server.socket = self._context(doh).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        _thread(server.serve_forever, 0.02)

    async def _proxy(
        self, box: Mapping[str, Any], place: tuple[str, int], ready: threading.Event
    ) -> None:
        tls = self._context(box) if box.get("tls") else None
        reached = {**self._names, DOH: "198.51.100.53", **(box.get("names") or {})}

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, EOFError, asyncio.IncompleteReadError, ssl.SSLError):
                await _Box(box, reached, self.asked, reader, writer).serve()
            writer.transport.abort()

        server = await asyncio.start_server(serve, *place, ssl=tls, backlog=200)
        ready.set()
        await server.serve_forever()


class _Box:
    """One connection to the proxy."""

    def __init__(
        self,
        box: Mapping[str, Any],
        names: Mapping[str, str],
        asked: list[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._box, self._names, self._asked = box, names, asked
        self._reader, self._writer = reader, writer

    async def serve(self) -> None:
        if self._box.get("answers") == "silence":
            await self._reader.read()
            return None
        if self._box.get("answers") == "garbage":
            self._writer.write(b"SSH-2.0-nothing\r\n\r\n")
            await self._writer.drain()
            return None
        while True:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target = head.split()[:2]
            self._asked.append(f"{method} {target}")
            if self._challenge(head):
                await self._writer.drain()
                continue
            host, _, port = target.rpartition(":")
            host = host.strip("[]")
            if (refusal := self._refusal(host)) is not None:
                self._answer(refusal.get("status", 403), refusal)
                await self._writer.drain()
                return None
            return await self._tunnel(host, int(port))

    def _challenge(self, head: str) -> bool:
        schemes = self._box.get("login") or []
        schemes = [schemes] if isinstance(schemes, str) else schemes
        if not schemes:
            return False
        pair = base64.b64encode(str(self._box.get("user", "me:secret")).encode()).decode()
        if "Basic" in schemes and f"Basic {pair}" in head:
            return False
        lines = "".join(f'Proxy-Authenticate: {one} realm="scene"\r\n'
                        if one in ("Basic", "Digest") else f"Proxy-Authenticate: {one}\r\n"
                        for one in schemes)  # fmt: skip
        self._writer.write(f"HTTP/1.1 407 Who are you\r\n{lines}Content-Length: 0\r\n\r\n".encode())
        return True

    def _refusal(self, host: str) -> Mapping[str, Any] | None:
        refused = self._box.get("refuses") or {}
        said = refused.get(host, refused.get("*"))
        if said is None and host.replace(".", "").isdigit():
            said = refused.get("addresses")
        if said is not None and host in (self._box.get("allows") or []):
            return None
        return {"status": said} if isinstance(said, int) else said

    def _answer(self, status: int, said: Mapping[str, Any]) -> None:
        page = f"<html><head><title>{said.get('title', '')}</title></head></html>"
        body = page if said.get("title") else ""
        self._writer.write(
            f"HTTP/1.1 {status} {said.get('reason', 'No')}\r\nContent-Type: text/html\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    async def _tunnel(self, host: str, port: int) -> None:
        address = host if host.replace(".", "").isdigit() else self._names.get(host)
        if address is None:
            self._answer(502, {"reason": "Unknown host"})
            return
        try:
            there, back = await asyncio.open_connection(address, port)
        except OSError:
            self._answer(504, {"reason": "No answer"})
            return
        self._writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(_pump(self._reader, back), _pump(there, self._writer))
        back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


_BODIES = {
    "official": "a bundle",
    "npm": '{"name": "pyodide", "version": "314.0.6", "dist": {}}',
    "pypi": "<!DOCTYPE html><html><body><a href='x.whl'>x</a></body></html>",
}
# A mirror is npm, PyPI and the bundle's host at once: what each check takes for its own.
_BODIES["mirror"] = _BODIES["npm"]
_TYPES = {
    "official": "application/octet-stream",
    "npm": "application/json",
    "pypi": "text/html",
    "mirror": "application/json",
}


@dataclass(frozen=True)
class _Answer:
    """What a site says to every request; ``late``: seconds that its clock is behind ours.

    Without its ``token`` it tells its health only.
    """

    status: int
    body: bytes
    kind: str
    headers: Mapping[str, str]
    late: float
    token: str = ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of scenes go away in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


def _handler(name: str, answer: _Answer, asked: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {name}{self.path}")
            shown = self.headers.get("Authorization") == f"Bearer {answer.token}"
            welcome = not answer.token or shown or self.path == "/healthz"
            self.send_response_only(answer.status if welcome else 401)
            now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=answer.late)
            self.send_header("Date", format_datetime(now, usegmt=True))
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)

        do_HEAD = do_GET  # noqa: N815 - the base class's naming

    return Handler


def _doh_handler(names: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            coded = parse_qs(urlsplit(self.path).query).get("dns", [""])[0]
            self._answer(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))

        def _answer(self, wire: bytes) -> None:
            body = _reply(wire, names).to_wire()
            self.send_response(200)
            self.send_header("Content-Type", "application/dns-message")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _reply(wire: bytes, names: Mapping[str, str]) -> dns.message.Message:
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    question = query.question[0]
    address = names.get(question.name.to_text(omit_final_dot=True).lower())
    if address is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
    kind = dns.rdatatype.to_text(question.rdtype)
    for one in address.split():
        if kind == ("AAAA" if ":" in one else "A"):
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, one))
    return reply


def _bound(address: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((address, 53))
    return bound


def _serve_dns(listening: socket.socket, mode: str, names: Mapping[str, str]) -> None:
    known = {} if mode == "nothing" else names
    while True:
        wire, client = listening.recvfrom(4096)
        if mode == "silent":
            continue
        listening.sendto(_reply(wire, known).to_wire(), client)


def _swallow(listening: socket.socket) -> None:
    kept = []
    while True:
        kept.append(listening.accept())


def _thread(work: Any, *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
