"""Where a mirror may go for what it lacks: named hosts, and no private address unless named. Pure.

A mirror that fetches whatever it is asked for is an open proxy into the network that it
stands in. So:

1. Only hosts on the list are asked: the upstreams that the operator names, and the hosts
   that he allows besides (their files may lie elsewhere). That holds for each redirect and
   for each address that an index gives, not for the first request alone.
2. https only, but for an upstream that the operator named with http.
3. A host that was not named as an upstream itself must not lead to an address of this
   machine or of a private network: not by name, not in another notation, not mapped into IPv6.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import ForbiddenError, SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"https": 443, "http": 80}
# RFC 6052 §2.1, and RFC 8215: IPv4 addresses behind a translator.
_TRANSLATED = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
)
# RFC 6598: neither private nor global in `ipaddress`, and inside some company all the same.
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")


@dataclass(frozen=True)
class Door:
    """One place that may be asked: scheme, host and port; ``*.host`` stands for all below it."""

    scheme: str
    host: str
    port: int

    def fits(self, other: "Door") -> bool:
        """Say whether this door is, or stands for, the other one."""
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        if self.host.startswith("*."):
            return other.host.endswith(self.host[1:])
        return self.host == other.host


@dataclass(frozen=True)
class Allowlist:
    """``named`` are the operator's own upstreams, ``besides`` the hosts that he allows."""

    named: tuple[Door, ...] = ()
    besides: tuple[Door, ...] = ()

    def check(self, url: str) -> Door:
        """Return where a URL leads. Raises ForbiddenError for a place that is not on the list."""
        try:
            door = _door(url)
        except ValueError as error:
            raise ForbiddenError(
                f"The mirror does not go to {redact.url(url[:200])!r}.", why=f"{error}."
            ) from error
        if self.trusted(door):
            return door
        if not any(one.fits(door) for one in self.besides):
            raise ForbiddenError(
                f"The mirror does not go to {door.host}.",
                why="It is neither an upstream nor an allowed host.",
                next_step=f"If it shall: --allow-host {door.host}",
            )
        literal = address(door.host)
        if literal is not None:
            self.check_addresses(door, [literal])
        return door

    def trusted(self, door: Door) -> bool:
        """Say whether the operator named this very place as an upstream."""
        return any(one.fits(door) for one in self.named)

    def check_addresses(self, door: Door, found: Iterable[Address]) -> None:
        """Refuse a host whose name leads inside. Raises ForbiddenError.

        To be asked with the addresses that are connected to, not with those of an earlier
        answer: a name may lead elsewhere a moment later.
        """
        if self.trusted(door):
            return
        for one in found:
            if private(one):
                raise ForbiddenError(
                    f"The mirror does not go to {door.host}.",
                    why=f"Its address {one} is not a public one.",
                    next_step="If it is an upstream of yours, name it with --upstream.",
                )


def upstream(url: str) -> Door:
    """Read an upstream as the operator names it. Raises SettingsError."""
    try:
        return _door(url)
    except ValueError as error:
        raise SettingsError(
            f"{redact.url(url)!r} is no upstream: {error}.",
            next_step="Name it as https://host/path.",
        ) from error


def allowed(text: str) -> Door:
    """Read a host that is allowed besides: ``host``, ``host:port``, ``*.host``; https.

    Raises SettingsError.
    """
    try:
        door = _door(f"https://{text.strip()}")
    except ValueError as error:
        raise _not_allowed(text, str(error)) from error
    wide = door.host.startswith("*") and "." not in door.host.removeprefix("*.")
    if "/" in text or "*" in door.host.removeprefix("*.") or wide:
        raise _not_allowed(text, "it would allow too much")
    return door


def _not_allowed(text: str, why: str) -> SettingsError:
    return SettingsError(
        f"{text!r} is no host to allow: {why}.", next_step="Name it as host or *.host.com."
    )


def address(host: str) -> Address | None:
    """Return the address that a host is written as, in any notation that a system may take.

    ``127.1``, ``0x7f000001`` and ``2130706433`` are addresses to getaddrinfo.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    parts = host.split(".")
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    # inet_aton(3): the last part fills all that is left.
    if len(parts) > 4 or any(one > 255 for one in numbers[:-1]):
        return None
    room = 8 * (5 - len(parts))
    if numbers[-1] >= 1 << room:
        return None
    value = numbers[-1]
    for place, one in enumerate(numbers[:-1]):
        value |= one << (24 - 8 * place)
    return ipaddress.IPv4Address(value)


def private(found: Address) -> bool:
    """Say whether an address is of this machine, a private network or nobody."""
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and any(found in network for network in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return private(inner)
        if found.teredo or found.is_site_local:
            return True
    elif found in _SHARED:
        return True
    return not found.is_global or found.is_multicast


def _number(text: str) -> int:
    if not text.isascii() or not text:
        raise ValueError(text)
    lowered = text.lower()
    if lowered.startswith("0x"):
        return int(lowered[2:] or "0", 16)
    if not lowered.isdigit():
        raise ValueError(text)
    return int(lowered, 8) if len(lowered) > 1 and lowered[0] == "0" else int(lowered)


def _door(url: str) -> Door:
    if any(one <= " " or one == "\\" or one == "\x7f" for one in url):
        raise ValueError("a URL has no spaces, control characters or backslashes")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("only https is spoken")
    if parts.username is not None and "@" in parts.netloc.rpartition("@")[0]:
        raise ValueError("its user holds an @")
    host = (parts.hostname or "").rstrip(".").lower()
    if not host:
        raise ValueError("it names no host")
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError("its host is no name") from error
    return Door(parts.scheme, host, parts.port or _PORTS[parts.scheme])
