"""What a tunnel leads to and where it listens: text → values, values → plan. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from pyodide_offline.errors import SettingsError

LOOPBACK = "127.0.0.1"
HTTPS = 443
_MAX_PORT = 65535


@dataclass(frozen=True)
class Target:
    """A host and a port that a tunnel leads to."""

    host: str
    port: int = HTTPS

    def __str__(self) -> str:
        return joined(self.host, self.port)


@dataclass(frozen=True)
class Listen:
    """Where to listen; without a port on the port of each target."""

    address: str = LOOPBACK
    port: int | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect there."""
        return self.address == "localhost" or ipaddress.ip_address(self.address).is_loopback


@dataclass(frozen=True)
class Group:
    """One listener and the targets behind it; several are told apart by the name in TLS."""

    address: str
    port: int
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Naming:
    """Who is asked for addresses over HTTPS; ``by_address``: always, for CONNECT too."""

    resolvers: Sequence[str] = ()
    by_address: bool = False


@dataclass(frozen=True)
class Port:
    """A port here and the port inside that it leads to."""

    here: int
    inside: int


def target(text: str) -> Target:
    """Read ``HOST[:PORT]``. Raises SettingsError."""
    host, port = _split(text)
    name = host.rstrip(".").lower()
    if not name or any(not (sign.isalnum() or sign in "-._:") for sign in name):
        raise SettingsError(f"{text!r} is no target.", next_step="Write it as HOST or HOST:PORT.")
    return Target(name, HTTPS if port is None else port)


def listen(text: str) -> Listen:
    """Read ``ADDRESS[:PORT]`` or ``:PORT``. Raises SettingsError."""
    host, port = _split(text)
    host = host or LOOPBACK
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise SettingsError(
                f"{text!r} is no address to listen on.",
                next_step="Write it as ADDRESS:PORT, such as 127.0.0.1:8443 or [::1]:443.",
            ) from None
    return Listen(host, port)


def port(text: str) -> Port:
    """Read ``PORT`` or ``HERE:INSIDE``. Raises SettingsError."""
    here, _, inside = text.strip().partition(":")
    for one in (here, inside or here):
        if not (one.isascii() and one.isdigit() and 0 < int(one) <= _MAX_PORT):
            raise SettingsError(
                f"{text!r} is no port to publish.",
                next_step="Write it as PORT, or as HERE:INSIDE.",
            )
    return Port(int(here), int(inside or here))


def plan(where: Listen, targets: Sequence[Target]) -> list[Group]:
    """Return one listener for each port. Raises SettingsError if targets cannot be told apart."""
    by_port: dict[int, list[Target]] = {}
    for one in dict.fromkeys(targets):
        port = one.port if where.port is None else where.port
        together = by_port.setdefault(port, [])
        if any(other.host == one.host for other in together):
            raise SettingsError(
                f"{one} and another port of the same host cannot share port {port}.",
                why="TLS tells the host's name only.",
                next_step="Leave the port out of --listen: each target then has its own.",
            )
        together.append(one)
    return [Group(where.address, port, tuple(group)) for port, group in by_port.items()]


def joined(host: str, port: int) -> str:
    """Write host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(text: str) -> tuple[str, int | None]:
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise SettingsError(f"{text!r} is no address: a bracket too many or too few.")
        port = rest[1:]
    elif text.count(":") > 1:
        host, rest, port = text, "", ""
    else:
        host, rest, port = text.partition(":")
    if not rest:
        return host, None
    if not (port.isascii() and port.isdigit()) or int(port) > _MAX_PORT:
        raise SettingsError(f"{text!r} has no port between 0 and {_MAX_PORT} after the colon.")
    return host, int(port)
