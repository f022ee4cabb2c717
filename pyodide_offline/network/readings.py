"""How other programs read NO_PROXY. Pure; ours is ``proxies.bypass``.

No two of them agree. Each function says whether a program would go past the proxy for a
target, by the rules that this program had when it was looked at:

- curl 7.88: its manual's "no_proxy"; tried.
- urllib (CPython 3.11 ``proxy_bypass_environment``), requests 2.32
  (``should_bypass_proxies``) and httpx 0.28 (``get_environment_proxies``): the tests compare
  them with the programs.
- Node: undici 7's EnvHttpProxyAgent, which Node itself uses where NODE_USE_ENV_PROXY is set;
  npm 11: @npmcli/agent.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pyodide_offline.network import proxies

Reading = Literal["direct", "proxy", "error"]


@dataclass(frozen=True)
class Row:
    """What each program does for one target. ``error``: it ends over the value."""

    host: str
    port: int
    readings: Mapping[str, Reading]

    @property
    def agreed(self) -> bool:
        """Whether all do the same."""
        return len(set(self.readings.values())) == 1

    def differing(self) -> dict[str, Reading]:
        """Return the programs that do not do what we do."""
        ours = self.readings[OURS]
        return {who: what for who, what in self.readings.items() if what != ours}


OURS = "pyodide-offline"


def row(no_proxy: str, host: str, port: int) -> Row:
    """Return how each program reads a value for a target (an IPv6 host without brackets)."""
    readings: dict[str, Reading] = {
        OURS: _said(proxies.bypass(no_proxy, host, port) is not None),
    }
    for who, reads in READERS.items():
        readings[who] = _said(reads(no_proxy, host.lower(), port))
    if httpx_fails(no_proxy):
        readings["httpx"] = "error"
    return Row(host, port, readings)


def curl(no_proxy: str, host: str, port: int) -> bool:  # noqa: ARG001 - it has no ports
    """Names and all below, addresses and IPv4 networks; ``*`` only alone."""
    if no_proxy == "*":
        return True
    address = _address(host)
    for entry in re.split(r"[,\s]+", no_proxy.lower()):
        pattern = entry.removesuffix(".") if address is None else entry
        if address is None:
            pattern = pattern.removeprefix(".")
            if pattern and (host == pattern or host.endswith(f".{pattern}")):
                return True
        elif entry == host or (address.version == 4 and _in_network(address, entry)):
            return True
    return False


def urllib(no_proxy: str, host: str, port: int) -> bool:
    """Suffixes parted by commas; no networks, and an IPv6 host keeps its brackets."""
    if no_proxy == "*":
        return True
    bare = f"[{host}]" if ":" in host else host
    whole = f"{bare}:{port}"
    for entry in (one.strip().lstrip(".").lower() for one in no_proxy.split(",")):
        if entry and any(place == entry or place.endswith(f".{entry}") for place in (bare, whole)):
            return True
    return False


def requests(no_proxy: str, host: str, port: int) -> bool:
    """Ends of the text, dot or not, and IPv4 networks; then what urllib reads."""
    address = _address(host)
    for entry in (one for one in no_proxy.replace(" ", "").split(",") if one):
        if address is not None and address.version == 4:
            if _in_network(address, entry) if "/" in entry else host == entry:
                return True
        elif host.endswith(entry) or f"{host}:{port}".endswith(entry):
            return True
    return _bare_urllib(no_proxy, host)


def _bare_urllib(no_proxy: str, host: str) -> bool:
    """Return what urllib says of a host without port and brackets, as requests asks it."""
    if no_proxy == "*":
        return True
    entries = (one.strip().lstrip(".").lower() for one in no_proxy.split(","))
    # urllib takes what follows the last colon for a port.
    bare = re.sub(r":\d+$", "", host)
    return any(
        one and any(place == one or place.endswith(f".{one}") for place in (bare, host))
        for one in entries
    )


def httpx(no_proxy: str, host: str, port: int) -> bool:
    """Names and all below, addresses; ``.example.com`` without ``example.com``; no networks."""
    for entry in (one.strip().lower() for one in no_proxy.split(",")):
        if entry == "*":
            return True
        name, colon, only = entry.rpartition(":")
        if entry.count(":") == 1 and colon:
            if only != str(port):
                continue
            entry = name
        if not entry:
            continue
        if _address(entry.partition("/")[0]) is not None or entry == "localhost":
            if host == entry.partition("/")[0]:
                return True
        elif entry.startswith("*"):
            continue
        elif host.endswith(entry) if entry.startswith(".") else _below(host, entry):
            return True
    return False


def httpx_fails(no_proxy: str) -> bool:
    """Say whether httpx 0.28 raises InvalidURL over a value: brackets, IPv6 networks."""
    entries = [one.strip() for one in no_proxy.split(",")]
    if "*" in entries:
        return False
    return any(
        one.startswith("[") or (one.count(":") > 1 and _address(one) is None) for one in entries
    )


def node(no_proxy: str, host: str, port: int) -> bool:
    """Names and all below, with ports; addresses as text, IPv6 in brackets; no networks."""
    if no_proxy == "*":
        return True
    place = f"[{host}]" if ":" in host else host
    for entry in re.split(r"[,\s]", no_proxy):
        match = re.fullmatch(r"(.+):(\d+)", entry)
        name, only = (match[1], int(match[2])) if match else (entry, 0)
        name = re.sub(r"^\*?\.", "", name).lower()
        if name and only in (0, port) and _below(place, name):
            return True
    return False


def npm(no_proxy: str, host: str, port: int) -> bool:  # noqa: ARG001 - it has no ports
    """Names and all below, case counted; an IPv4 address by its last numbers."""
    place = (f"[{host}]" if ":" in host else host).split(".")[::-1]
    for entry in (one.strip() for one in no_proxy.split(",")):
        parts = [one for one in entry.split(".") if one][::-1]
        if parts and place[: len(parts)] == parts:
            return True
    return False


READERS: Mapping[str, Callable[[str, str, int], bool]] = {
    "curl": curl,
    "Python urllib": urllib,
    "pip, requests": requests,
    "httpx": httpx,
    "Node": node,
    "npm": npm,
}


def samples(no_proxy: str) -> Iterable[tuple[str, int]]:
    """Yield targets that show how each entry is read: the name, one below, an address in it."""
    for entry in re.split(r"[,\s]+", no_proxy):
        text = entry.removeprefix("*").strip("[]").removeprefix(".").removesuffix(".")
        host, port = text, 443
        if text.count(":") == 1:
            host, _, only = text.partition(":")
            port = int(only) if only.isdigit() else 443
        if "/" in host:
            try:
                network = ipaddress.ip_network(host, strict=False)
            except ValueError:
                continue
            yield str(network[min(1, network.num_addresses - 1)]), port
        elif host:
            yield host, port
            if _address(host) is None and host != "localhost":
                yield f"www.{host}", port


def _below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):
        return False


def _said(direct: bool) -> Reading:
    return "direct" if direct else "proxy"
