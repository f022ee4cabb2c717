"""How much one client, and all of them, may ask of a front at once. Pure: told the time.

A client is an IPv4 address or an IPv6 network of 64 bits (one machine has as many of the
addresses in it as it likes). Each has a bucket of requests that fills at a steady rate, and
a number of requests under way. What is known of clients is bounded: the one that was heard
of longest ago, with nothing under way, is forgotten first.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

_CLIENTS = 10_000


class Reason(Enum):
    """Why a request is refused for now."""

    RATE = "rate"
    CLIENT = "client-busy"
    FULL = "busy"


@dataclass(frozen=True)
class Limits:
    """``rate`` is requests a second of one client, 0 for any number; sizes are bytes."""

    rate: float = 1000
    burst: int = 10_000
    open_client: int = 512
    open_total: int = 2048
    path: int = 2048
    headers: int = 32 << 10
    body: int = 64 << 10
    stall_s: float = 60


@dataclass
class _Client:
    level: float
    since: float
    open: int = 0


@dataclass(frozen=True)
class Refusal:
    """``wait_s``: when it is worth to ask again."""

    reason: Reason
    wait_s: int


class Meter:
    """Requests under way and of late, by client."""

    def __init__(self, limits: Limits, most: int = _CLIENTS) -> None:
        self.limits = limits
        self.open = 0
        self._most = most
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def enter(self, client: str, now: float) -> Refusal | None:
        """Let a request in, to be followed by ``leave``; or say why not."""
        limits = self.limits
        if self.open >= limits.open_total:
            return Refusal(Reason.FULL, 1)
        known = self._clients.get(client)
        if known is None:
            known = self._clients[client] = _Client(limits.burst, now)
            if len(self._clients) > self._most:
                self._forget()
        else:
            self._clients.move_to_end(client)
        if known.open >= limits.open_client:
            return Refusal(Reason.CLIENT, 1)
        if limits.rate:
            passed = max(0.0, now - known.since)
            known.level = min(limits.burst, known.level + passed * limits.rate)
            known.since = now
            if known.level < 1:
                return Refusal(Reason.RATE, max(1, round((1 - known.level) / limits.rate)))
            known.level -= 1
        known.open += 1
        self.open += 1
        return None

    def leave(self, client: str) -> None:
        """A request that was let in has ended."""
        self.open -= 1
        if known := self._clients.get(client):
            known.open -= 1

    def _forget(self) -> None:
        for name, known in self._clients.items():
            if not known.open:
                del self._clients[name]
                return


def client(address: str) -> str:
    """Return by which name a client's address is counted."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
