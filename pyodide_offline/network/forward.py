"""Plain http through an http proxy: the request with the whole address, and the login.

Not CONNECT: proxies as they come (squid) let that through to port 443 only, and may read
plain http anyway. Rules, and where they come from:

- The request line has the absolute form (RFC 9112 §3.2.2); Host stays the target's.
- A 407 is read to its end and answered over the same connection, which NTLM needs.
- A password that was refused is not sent again, see ``lockout``.
- Proxy-Authorization is the proxy's: it leaves it out of what it passes on (RFC 9110
  §11.7.1).
"""

import ssl
from collections.abc import Mapping
from itertools import islice
from typing import cast

import httpcore

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import challenges, connect, credentials, refusals
from pyodide_offline.network.handshake import MAX_BODY
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import Upstream, authority
from pyodide_offline.network.refusals import Kind
from pyodide_offline.network.rounds import MAX_ROUNDS, Rounds


def send(
    pool: httpcore.ConnectionPool,
    request: httpcore.Request,
    upstream: Upstream,
    *,
    environ: Mapping[str, str],
    lockout: Lockout = connect.LOCKOUT,
) -> httpcore.Response:
    """Send a request to the proxy and return the answer, which may be the proxy's own.

    ``pool`` has one connection at most, and dials directly. Raises NetworkError for a login
    that does not come about, and what httpcore raises.
    """
    host, port = request.url.host.decode("ascii"), request.url.port or 80
    place = authority(host, port).removesuffix(":80") if port == 80 else authority(host, port)
    target = f"http://{place}".encode() + request.url.target
    rounds = Rounds(
        lambda: credentials.find(upstream, environ),
        target=target.decode("ascii"),
        method=request.method.decode("ascii"),
        proxy_host=upstream.host,
    )
    if scheme := lockout.scheme(upstream):
        rounds.expect(scheme)
    for _ in range(MAX_ROUNDS + 1):
        known = rounds.credentials if rounds.proving else None
        if known is not None:
            lockout.check(upstream, known)
        try:
            answer = pool.handle_request(_absolute(request, upstream, target, rounds))
        except (NetworkError, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise _unreachable(error, host, port, upstream, environ) from error
        if answer.status != 407:
            if known is not None:
                lockout.went_well(upstream, known, rounds.scheme)
            return answer
        offered = challenges.parse(_values(answer, b"proxy-authenticate"))
        if closing := _drained(answer):
            pool.close()  # the proxy's own header for it is unknown to httpcore
        if (given_up := rounds.answer(offered, closing=closing)) is not None:
            explained = refusals.gave_up(host, port, upstream, rounds, offered, given_up)
            if given_up.trouble == "missing":
                credentials.missed(upstream)
            if given_up.trouble == "refused" and known is not None:
                lockout.failed(upstream, known, explained)
            raise explained
    raise NetworkError(f"The proxy {upstream} asks for a login again and again.", kind="login")


def _absolute(
    request: httpcore.Request, upstream: Upstream, target: bytes, rounds: Rounds
) -> httpcore.Request:
    headers = list(request.headers)
    if rounds.authorization:
        headers.append((b"Proxy-Authorization", rounds.authorization.encode()))
    return httpcore.Request(
        request.method,
        httpcore.URL(
            scheme=upstream.scheme.encode(),
            host=upstream.host.encode("idna"),
            port=upstream.port,
            target=target,
        ),
        headers=headers,
        content=request.stream,
        extensions=request.extensions,
    )


def _unreachable(
    error: Exception, host: str, port: int, upstream: Upstream, environ: Mapping[str, str]
) -> NetworkError:
    """Say of the proxy what was said of a host that was dialled directly."""
    if isinstance(error, NetworkError):
        reason = error.what.partition(": ")[2]
        return refusals.unreachable(host, port, upstream, cast(Kind, error.kind), reason)
    cause = error.__cause__ or error.__context__  # httpcore cuts the one, not the other
    if isinstance(cause, ssl.SSLCertVerificationError):
        return connect.untrusted(cause, upstream, environ)
    if isinstance(cause, OSError):
        kind, reason = connect.kind_of(cause)
        kind = "mute" if kind == "silent" else kind
        return refusals.unreachable(host, port, upstream, kind, reason)
    return refusals.unreachable(host, port, upstream, "other", str(error))


def _drained(answer: httpcore.Response) -> bool:
    """Read what a refusal says, and return whether its connection ends with it."""
    length = 0
    for part in answer.iter_stream():
        length += len(part)
        if length > MAX_BODY:
            break
    whole = length <= MAX_BODY
    answer.close()
    said = b",".join(_raw(answer, b"connection") + _raw(answer, b"proxy-connection")).lower()
    old = answer.extensions.get("http_version") == b"HTTP/1.0" and b"keep-alive" not in said
    return old or b"close" in said or not whole


def _values(answer: httpcore.Response, name: bytes) -> list[str]:
    return [value.decode("latin-1") for value in islice(_raw(answer, name), 20)]


def _raw(answer: httpcore.Response, name: bytes) -> list[bytes]:
    return [value for key, value in answer.headers if key.lower() == name]
