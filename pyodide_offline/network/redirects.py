"""Whether a redirect (RFC 9110 §15.4) is followed. Pure.

- https is followed by https only; http by both.
- The same host, on any port, and hosts of the same domain: yes.
- Hosts that the caller names, and those below them: yes.
- Any other host only by https, and only where the bytes are checked against a digest that
  came from somewhere else (``checked``): registries keep their files with strangers.

Everything else is more often a portal that wants a login than where the file is.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

STATUSES = {301, 302, 303, 307, 308}
_SCHEMES = {("https", "https"), ("http", "http"), ("http", "https")}


def problem(
    came_from: str, leads_to: str, *, hosts: Collection[str] = (), checked: bool = False
) -> str:
    """Return why a redirect is not followed; nothing: it is."""
    before, after = urlsplit(came_from), urlsplit(leads_to)
    if (before.scheme, after.scheme) not in _SCHEMES:
        return "Only https may follow https."
    here, there = before.hostname or "", after.hostname or ""
    near = here == there or (_domain(here) and _domain(here) == _domain(there))
    named = any(there == one or there.endswith(f".{one}") for one in hosts)
    if near or named or (checked and after.scheme == "https"):
        return ""
    return "That is another host: perhaps a portal that wants a login in a browser."


def _domain(host: str) -> str:
    """Return what a company registers, as far as that can be told without a list of it.

    Nothing for an address, whose numbers are no labels.
    """
    labels = host.rstrip(".").split(".")
    if len(labels) < 2 or ":" in host or labels[-1].isdecimal():
        return ""
    # co.uk, com.au: two letters of a country behind a few of a kind.
    count = 3 if len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-count:]) if len(labels) >= count else ""
