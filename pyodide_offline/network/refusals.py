"""Why a proxy did not give the tunnel, in words. Pure.

Status codes as RFC 9110 §15 has them, and as proxies use them for CONNECT.
"""

from collections.abc import Sequence

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.handshake import Refused
from pyodide_offline.network.proxies import Upstream, authority

_MEANING = {
    400: "It does not take CONNECT to this port, or is no proxy.",
    403: "Its rules do not allow this host or this port.",
    404: "It is a web server, not a proxy, or does not know the host.",
    405: "It does not take CONNECT: perhaps a web server or a proxy for plain http only.",
    429: "It wants fewer requests.",
    501: "It does not take CONNECT: perhaps a proxy for plain http only.",
    502: "It could not find the host, or the host closed the connection.",
    503: "It could not reach the host, or is overloaded.",
    504: "The host did not answer it in time.",
}


def refused(host: str, port: int, upstream: Upstream, event: Refused) -> NetworkError:
    """Return the error for a proxy that answered, but not with a tunnel."""
    target = authority(host, port)
    said = " ".join(part for part in (str(event.status or ""), event.reason) if part)
    page = f' Its page says: "{event.title}".' if event.title else ""
    meaning = event.problem or _MEANING.get(event.status, "")
    return NetworkError(
        f"The proxy {upstream} does not let {target} through"
        + (f": {said.rstrip('.')}." if said else "."),
        why=f"{meaning}{page} {_named(upstream)}".strip(),
        next_step=f"Ask who runs the proxy, or check {upstream.origin} and NO_PROXY.",
    )


def unreachable(host: str, port: int, upstream: Upstream | None, error: OSError) -> NetworkError:
    """Return the error for a connection that could not be made."""
    place = authority(host, port) if upstream is None else f"The proxy {upstream}"
    if isinstance(error, ConnectionRefusedError):
        what = f"{place} refuses the connection."
    elif isinstance(error, TimeoutError):
        what = f"{place} does not answer."
    else:
        what = f"{place} cannot be reached: {error.strerror or error}."
    if upstream is None:
        return NetworkError(
            what,
            why="No proxy is named for it.",
            next_step="If this network needs a proxy, name it: export HTTPS_PROXY=http://host:port",
        )
    return NetworkError(
        what, why=_named(upstream), next_step=f"Check {upstream.origin} and NO_PROXY."
    )


def last_of(failed: Sequence[NetworkError]) -> NetworkError:
    """Return the last error, with what the proxies before it said."""
    last = failed[-1]
    if before := " ".join(one.what for one in failed[:-1]):
        return NetworkError(
            last.what, why=f"Before it: {before} {last.why}", next_step=last.next_step
        )
    return last


def _named(upstream: Upstream) -> str:
    return f"{upstream.origin} names it."
