"""What a request and its answer lose and gain on their way through a forwarder. Pure.

Requests come with the whole URL in their first line (RFC 9112 §3.2.2) and without Host,
as workerd sends them to a service of style ``proxy``. A header that belongs to one
connection alone goes no further (RFC 9110 §7.6.1); all others pass in their order and case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyodide_offline.network.proxies import authority

Headers = list[tuple[bytes, bytes]]
PORTS = {"http": 80, "https": 443}
CONNECT = b"CONNECT"

_OF_ONE_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"upgrade",
}
# Connection cannot take these out: the next hop has to be told where to, and how long it is.
FRAMING = {b"transfer-encoding", b"content-length"}
_OF_EACH_HOP = {b"host", *FRAMING}


@dataclass(frozen=True)
class Target:
    """Where a request goes; ``path`` with its query, empty for CONNECT."""

    scheme: str
    host: str
    port: int
    path: bytes = b""

    @property
    def address(self) -> str:
        """Host and port, as they are shown."""
        return authority(self.host, self.port)

    @property
    def field(self) -> bytes:
        """The value of Host: without the port that the scheme has anyway."""
        if PORTS.get(self.scheme) == self.port:
            return (f"[{self.host}]" if ":" in self.host else self.host).encode()
        return self.address.encode()


def read(method: bytes, target: bytes) -> Target:
    """Read a request's target: an absolute URL, host and port for CONNECT.

    Raises ValueError for anything else.
    """
    text = target.decode("ascii")
    if method == CONNECT:
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.port is None or parts.path:
            raise ValueError(f"{text!r} is not a host with a port")
        return Target("tcp", parts.hostname, parts.port)
    parts = urlsplit(text)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("the request's target is not an http or https URL")
    # As bytes they stay as they came: urlsplit would drop an empty query.
    rest = text.partition("://")[2]
    begin = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    path = rest[begin:].partition("#")[0]
    if not path.startswith("/"):
        path = f"/{path}"
    return Target(
        parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], path.encode("ascii")
    )


def with_host(head: bytes) -> bytes:
    """Return a request's head with the one Host that its target asks for (RFC 9112 §3.2).

    Raises ValueError for a head that has no such target.
    """
    line, *fields = head.split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3:
        raise ValueError("the request's first line has not three parts")
    kept = [field for field in fields if not field.lower().startswith((b"host:", b"host "))]
    return b"\r\n".join([line, b"Host: " + read(words[0], words[1]).field, *kept])


def upgrade(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the protocol that a connection is to be switched to, if it is."""
    wanted = {name.lower(): value for name, value in headers}
    return wanted.get(b"upgrade") if b"upgrade" in _listed(headers) else None


def onward(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Return the headers for the next hop, of a request or of an answer."""
    gone = (_OF_ONE_HOP | _listed(headers)) - _OF_EACH_HOP
    kept = [(name, value) for name, value in headers if name.lower() not in gone]
    if (protocol := upgrade(headers)) is not None:
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", protocol)]
    return kept


def _listed(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the names that the Connection header lists, in lower case."""
    return {
        name.strip().lower()
        for field, value in headers
        if field.lower() == b"connection"
        for name in value.split(b",")
    }
