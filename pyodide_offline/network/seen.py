"""What a confined command reads in place of /etc/hosts and its like: text → text. Pure.

The rules:

- A target's name has loopback for its address and no other: with ``multi on`` in
  host.conf (Debian's default) glibc would join the addresses of several lines.
- Names come from the hosts file alone. nss-resolve asks systemd-resolved over a socket of
  the file system, so the host's answers would come through; mdns4_minimal ends the search.
- A program that asks DNS by itself asks loopback.
"""

import re
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
RESOLV_CONF = f"# pyodide-offline exec: nothing leaves\nnameserver {LOOPBACK}\noptions timeout:1\n"
_HOSTS_LINE = re.compile(r"^[ \t]*hosts[ \t]*:.*$", re.MULTILINE)


def hosts(text: str, names: Iterable[str]) -> str:
    """Return a hosts file with loopback for the names, and the rest of this one."""
    wanted = dict.fromkeys(name.lower() for name in names)
    lines = [f"{LOOPBACK}\t{name}" for name in wanted]
    others: set[str] = set()
    for line in text.splitlines():
        address, *words = line.partition("#")[0].split() or [""]
        kept = [word for word in words if word.lower() not in wanted]
        others |= set(kept)
        if kept:
            lines.append(line if kept == words else f"{address}\t{' '.join(kept)}")
    if "localhost" not in others:
        lines += [f"{LOOPBACK}\tlocalhost", "::1\tlocalhost"]
    return "\n".join(lines) + "\n"


def nsswitch(text: str) -> str:
    """Return an nsswitch.conf that has names looked up in the hosts file alone."""
    if _HOSTS_LINE.search(text):
        return _HOSTS_LINE.sub("hosts:\tfiles", text)
    return f"hosts:\tfiles\n{text}"
