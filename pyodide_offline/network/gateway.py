"""Which network this machine is in, as far as Linux's tables tell: the default gateway.

By its address and its hardware address, since 192.168.1.1 is everywhere.
"""

import socket
from pathlib import Path

_TABLES = Path("/proc/net")
_UP_AND_GATEWAY = 0x3  # RTF_UP | RTF_GATEWAY


def identity() -> str:
    """Return text that differs from network to network; nothing where nobody knows."""
    v4, neighbours, v6 = _read("route"), _read("arp"), _read("ipv6_route")
    return from_tables(v4, neighbours, v6)


def leads_out() -> bool:
    """Say whether there is a default route; where that cannot be known, there may be one."""
    v4, v6 = _read("route"), _read("ipv6_route")
    return not (v4 or v6) or bool(_default(v4)) or bool(_default6(v6))


def from_tables(route: str, arp: str, route6: str) -> str:
    """Return the same from the text of the tables."""
    if found := _default(route):
        address, interface = found
        for line in arp.splitlines()[1:]:
            words = line.split()
            if len(words) >= 6 and (words[0], words[5]) == (address, interface):
                return f"{address} {words[3]}"
        return f"{address} {interface}"
    return _default6(route6)


def _default(route: str) -> tuple[str, str] | None:
    """Return gateway and interface; a route without a gateway (a tunnel's) counts too."""
    for line in route.splitlines()[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == words[7] == "00000000":
            # The bytes of an address in the network's order, read as the machine's number.
            address = socket.inet_ntoa(bytes.fromhex(words[2])[::-1])
            return address, words[0]
    return None


def _default6(route6: str) -> str:
    for line in route6.splitlines():
        words = line.split()
        if len(words) >= 10 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            gateway = int(words[8], 16) & _UP_AND_GATEWAY == _UP_AND_GATEWAY
            return f"{words[4] if gateway else ''} {words[9]}".strip()
    return ""


def _read(name: str) -> str:
    try:
        return (_TABLES / name).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
