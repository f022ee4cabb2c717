"""Whether several ways to resolve a name agree, in one sentence; pure.

Different answers are seldom a fault: a company's DNS names its inside (split DNS), and a
large site answers each network with the servers near to it.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

_LOOPBACK = "127.0.0.0/8 ::1/128"
# RFC 1918, RFC 6598, RFC 3927; RFC 4193 and RFC 4291 §2.5.6.
_INSIDE = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fc00::/7 fe80::/10"


@dataclass(frozen=True)
class View:
    """What one way answered: addresses, or the reason for none.

    ``unreachable``: nobody answered, so nothing is known of the name by this way.
    """

    way: str
    addresses: tuple[str, ...]
    reason: str = ""
    unreachable: bool = False


def sentence(name: str, views: Sequence[View]) -> str:
    """Return what a person should know of the views of a name; the system's comes first."""
    system, *secure = views
    heard = [view for view in secure if not view.unreachable]
    silent = [view.way for view in secure if view.unreachable]
    aside = f" No answer by {' and by '.join(silent)}." if silent else ""
    if not heard:
        return f"{name}: nothing to compare, only the system could be asked.{aside}"
    answered = [view for view in (system, *heard) if view.addresses]
    if not answered:
        return f"{name}: no address by any way.{aside}"
    if not system.addresses:
        return (
            f"{name}: no address by the system, but by {_ways(answered)}; "
            f"`--hosts` prints lines for a hosts file.{aside}"
        )
    differing = [view for view in heard if set(view.addresses) != set(system.addresses)]
    if not differing:
        return f"{name}: {_ways([system, *heard])} agree.{aside}"
    if _all_in(system, _LOOPBACK):
        return (
            f"{name}: this machine itself by the system, but not by {_ways(differing)}: "
            f"perhaps a line in the hosts file.{aside}"
        )
    if _all_in(system, _INSIDE) and not any(_all_in(view, _INSIDE) for view in differing):
        return (
            f"{name}: a private address by the system, but not by {_ways(differing)}: "
            f"split DNS, the system's answer is the one for this network.{aside}"
        )
    missing = [view for view in differing if not view.addresses]
    if missing:
        return f"{name}: an address only by {_ways(answered)}, none by {_ways(missing)}.{aside}"
    shared = [view for view in differing if set(view.addresses) & set(system.addresses)]
    degree = "in part" if len(shared) == len(differing) else "in all"
    return (
        f"{name}: system and {_ways(differing)} differ {degree}; large sites answer each "
        f"network with other servers, so this alone is no fault.{aside}"
    )


def _all_in(view: View, networks: str) -> bool:
    """Say whether there are addresses and each is in one of the networks."""
    ranges = [ipaddress.ip_network(one) for one in networks.split()]
    found = [ipaddress.ip_address(one.partition("%")[0]) for one in view.addresses]
    return bool(found) and all(any(one in range_ for range_ in ranges) for one in found)


def _ways(views: Sequence[View]) -> str:
    names = [view.way for view in views]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
