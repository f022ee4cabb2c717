"""Who may reach a front, as its operator says: this machine, or others with care.

Loopback and a socket file need nothing. Any other address needs TLS, or the word that
something else has it (--insecure-listen), and tokens: a mirror is no open proxy.
"""

import ipaddress
from collections.abc import Collection
from pathlib import Path

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import tokens
from pyodide_offline.features.mirror.guard import Rules
from pyodide_offline.features.mirror.limits import Limits

# What an unmodified workerd calls the server that it asks for its bundle.
WORKERD = "pyodide-capnp-bin.edgeworker.net"


def rules(
    host: str,
    file: Path,
    *,
    tls: bool,
    insecure: bool = False,
    names: Collection[str] = (),
    open_bundles: bool = False,
    behind_proxy: bool = False,
    limits: Limits | None = None,
) -> Rules:
    """Return how a front that listens at ``host`` is guarded; "" is a socket file.

    ``file`` holds the tokens; one without any asks for none. Raises SettingsError.
    """
    known = tokens.Watched(file)
    guarded = bool(tokens.load(file).tokens)
    if not _alone(host):
        if not tls and not insecure:
            raise SettingsError(
                f"The mirror would be at {host} without TLS.",
                why="Tokens and packages would pass in the clear.",
                next_step="Add --tls-cert and --tls-key; --insecure-listen if TLS ends before it.",
            )
        if not guarded:
            raise SettingsError(
                f"The mirror would be at {host} for everybody.",
                why=f"There is no token in {file}.",
                next_step="Make one: pyodide-offline mirror token add NAME",
            )
    answers_to = {WORKERD, *(name.lower().rstrip(".") for name in names)}
    if host and not _address(host):
        answers_to.add(host.lower())
    return Rules(
        limits=limits or Limits(),
        tokens=known if guarded else None,
        names=frozenset(answers_to),
        open_bundles=open_bundles,
        behind_proxy=behind_proxy,
    )


def _alone(host: str) -> bool:
    """Say whether only this machine can connect to it."""
    found = _address(host)
    return host in ("", "localhost") or (found is not None and found.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
