"""By which ways something may be had, in which order, and why. Pure: facts in, ways out.

The rules:

- What needs no request comes first (the store), then a mirror that the user named, then
  the network, then what can be made from npm's package.
- Where no proxy is named for a host, it is asked directly: first as the system finds it,
  then, if that finds nothing, at the address that DNS over HTTPS knows.
- Where proxies are named, nothing goes past them. Each is given the name, in the user's
  order; then the address, if all that a proxy lacked was the name. A proxy's own "no" is
  not gone around.
- A way that worked on this network the last time goes first.
- No name that may be a private one is told to a resolver outside.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pyodide_offline.network.proxies import Upstream

Kind = Literal[
    "store", "mirror", "direct", "direct-address", "proxy", "proxy-address", "assembly"
]  # fmt: skip
NETWORK = {"mirror", "direct", "direct-address", "proxy", "proxy-address"}
BY_ADDRESS = {"direct-address", "proxy-address"}

# RFC 6761, 6762, 7686, 8375, 9476 and ICANN's .internal; the others are what companies use.
_PRIVATE = {
    "alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local",
    "localdomain", "localhost", "onion", "private", "test",
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way. ``address`` is connected to in place of the host's name.

    Where the kind is by address and there is none, it is to be looked up first. ``place``
    is a mirror's URL.
    """

    kind: Kind
    reason: str
    upstream: Upstream | None = None
    address: str = ""
    place: str = ""

    @property
    def key(self) -> str:
        """What this way is remembered by; tells nothing to those who do not know it."""
        text = f"{self.kind} {self.upstream or ''} {self.place}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """Return it for people, as in: directly, through http://proxy:3128."""
        at = f" at the address {self.address}" if self.address else ""
        through = f"through {self.upstream}" if self.upstream else "directly"
        words = {"store": "from the store", "assembly": "made from npm's package"}
        return words.get(self.kind) or (f"from {self.place}" if self.place else through + at)


@dataclass(frozen=True)
class Facts:
    """What is known before the first request.

    ``upstreams`` are the proxies for this host (see ``proxies.for_target``), ``mirrors``
    URLs, ``stored`` and ``assembled`` whether it is, or can be made, here; ``worked`` is the
    key of the way that worked the last time.
    """

    host: str
    upstreams: Sequence[Upstream] = ()
    mirrors: Sequence[str] = ()
    stored: bool = False
    assembled: bool = False
    worked: str = ""


def ways(facts: Facts) -> list[Way]:
    """Return the ways in the order to try them."""
    found: list[Way] = []
    if facts.stored:
        found.append(Way("store", "It is there."))
    found += [Way("mirror", "The user named it.", place=one) for one in facts.mirrors]
    network = [*_by_name(facts), *_by_address(facts)]
    # Nothing stands still by it: `sorted` keeps the order of all others.
    network.sort(key=lambda way: way.key != facts.worked)
    if network and network[0].key == facts.worked:
        network[0] = replace(network[0], reason="It worked on this network the last time.")
    found += network
    if facts.assembled:
        found.append(Way("assembly", "npm has what it is made of."))
    return found


def mends(failed: Way, kind: str, following: Way) -> bool:
    """Say whether a way may do better than one that failed so (``refusals.Kind``).

    What the server itself said (an error, wrong bytes, a certificate) is no failed way:
    none of these gets here.
    """
    if following.kind not in NETWORK or failed.kind in {"mirror"}:
        return True
    if failed.kind in BY_ADDRESS:
        return True  # it was the last time's, or has others beside it
    if failed.upstream is None:
        return following.kind == "direct-address" and kind in {"name", "dns"}
    if following.upstream == failed.upstream:
        return following.kind == "proxy-address" and kind == "unreached"
    return True


def public(host: str) -> bool:
    """Say whether a resolver outside may be asked for this name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.lower().rstrip(".").split(".")
        return len(labels) > 1 and labels[-1] not in _PRIVATE
    return False


def _by_name(facts: Facts) -> list[Way]:
    if not facts.upstreams:
        return [Way("direct", "No proxy is named for it.")]
    return [
        Way("direct", f"{one.origin} says so.")
        if one.scheme == "direct"
        else Way("proxy", f"{one.origin} names it.", one)
        for one in facts.upstreams
    ]


def _by_address(facts: Facts) -> list[Way]:
    if not public(facts.host):
        return []
    if not facts.upstreams:
        return [Way("direct-address", "The system does not find the name.")]
    reason = "The proxy does not find the name."
    return [Way("proxy-address", reason, one) for one in facts.upstreams if one.scheme != "direct"]
