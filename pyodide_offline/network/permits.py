"""Which addresses a worker may connect to, as workerd's own configuration has it. Pure.

The lists are those of ``Network`` in workerd.capnp: networks as CIDR, and the words
public, private, local and network. What belongs to a word was asked of the binaries of
wrangler 4.86.0 and 4.164.0, address by address; both agree.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def _networks(*texts: str) -> _Networks:
    return [ipaddress.ip_network(text) for text in texts]


_LOCAL = _networks("0.0.0.0/32", "127.0.0.0/8", "::/128", "::1/128")
_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
)
# In no word at all; they can be named as networks.
_RESERVED = _networks("192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "ff00::/8")


@dataclass(frozen=True)
class Permits:
    """What is allowed, less what is denied. The defaults are workerd's."""

    allow: tuple[str, ...] = ("public",)
    deny: tuple[str, ...] = ()

    def allows(self, address: str) -> bool:
        """Say whether this address may be connected to; ValueError for one that is none."""
        found = parse(address)
        if found is None:
            raise ValueError(f"{address!r} is not an address")
        return any(_covers(word, found) for word in self.allow) and not any(
            _covers(word, found) for word in self.deny
        )


def parse(text: str) -> _Address | None:
    """Return the address that a text is, or None. An IPv4 one within IPv6 is an IPv4 one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def loopback(host: str) -> bool:
    """Say whether a host is this machine by its name or address (RFC 6761 §6.3)."""
    name = host.lower().removesuffix(".")
    address = parse(name)
    if address is not None:
        return _within(address, _LOCAL)
    return name == "localhost" or name.endswith(".localhost")


def _covers(word: str, address: _Address) -> bool:
    if word == "local":
        return _within(address, _LOCAL)
    if word == "network":
        return not _within(address, _LOCAL)
    private = _within(address, _LOCAL) or _within(address, _PRIVATE)
    if word == "private":
        return private
    if word == "public":
        return not private and not _within(address, _RESERVED)
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:  # unix, unix-abstract
        return False
    return _within(address, [network])


def _within(address: _Address, networks: _Networks) -> bool:
    return any(one.version == address.version and address in one for one in networks)
