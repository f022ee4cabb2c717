"""Plain http handed to a proxy that reads it: one that lets CONNECT through to port 443 only.

The request has the whole URL in its first line (RFC 9112 §3.2.2), and each has its login. A
body waits until the proxy has seen the head, so that a 407 costs nothing; but for NTLM and
Negotiate, which need the next attempt on the same connection, it is too late then.
"""

from collections.abc import Mapping

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import challenges, credentials, refusals
from pyodide_offline.network.exchange import Asked, Handed, LoginWantedError, Usable
from pyodide_offline.network.outbound import Connection, Outbound
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.rounds import MAX_ROUNDS, Rounds


async def carry(asked: Asked, upstream: Upstream, outbound: Outbound) -> Usable:
    """Send a request by a proxy and its answer back, which may be the proxy's own.

    Raises NetworkError where proxy or login fail, and what ``Asked.carry`` raises.
    """
    target, lockout = asked.target, outbound.lockout
    url = b"http://" + target.field + target.path
    rounds = _rounds(asked, upstream, url, outbound.environ)
    if scheme := lockout.scheme(upstream):
        rounds.expect(scheme)
    origin: Connection | None = None
    try:
        for _ in range(MAX_ROUNDS + 1):
            known = rounds.credentials if rounds.proving else None
            if known is not None:
                lockout.check(upstream, known)
            origin = origin or await outbound.to_proxy(upstream, target)
            try:
                usable = await asked.carry(origin, Handed(url, rounds.authorization))
            except LoginWantedError as error:
                if not error.reusable:
                    origin.abort()
                    origin = None
                if asked.spent:
                    raise NetworkError(
                        f"The proxy {upstream} asked for a login too late.",
                        why="A part of the request's body had been sent, and cannot be again.",
                        kind="login",
                    ) from error
                offered = challenges.parse(error.offers)
                given_up = rounds.answer(offered, closing=not error.reusable)
                if given_up is None:
                    continue
                explained = refusals.gave_up(
                    target.host, target.port, upstream, rounds, offered, given_up
                )
                if given_up.trouble == "missing":
                    credentials.missed(upstream)
                if given_up.trouble == "refused" and known is not None:
                    lockout.failed(upstream, known, explained)
                raise explained from error
            if known is not None:
                lockout.went_well(upstream, known, rounds.scheme)
            return Usable(usable.client)
        raise NetworkError(f"The proxy {upstream} asks for a login again and again.", kind="login")
    finally:
        if origin is not None:
            origin.close()


def _rounds(asked: Asked, upstream: Upstream, url: bytes, environ: Mapping[str, str]) -> Rounds:
    return Rounds(
        lambda: credentials.find(upstream, environ),
        target=url.decode("ascii"),
        method=asked.request.method.decode("ascii"),
        proxy_host=upstream.host,
    )
