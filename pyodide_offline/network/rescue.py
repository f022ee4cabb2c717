"""The addresses of a host by DNS over HTTPS, for a download whose host is not found.

Asked once the other ways have failed, so in bounded time, and not again for a while where
nobody answered: a machine without any network must not wait for it each time.
"""

import time
from dataclasses import replace
from hashlib import sha256

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.answers import Answer
from pyodide_offline.network.dnscache import DnsCache
from pyodide_offline.session import Session

# Seconds for all of it: three ways there and back suffice. A dead network that drops what it
# is sent costs them once a command.
SECONDS, PROXIED_SECONDS = 1.5, 3.0
PAUSE = 60.0  # seconds after nobody answered
RESOLVER_VARIABLE = "PYODIDE_OFFLINE_RESOLVER"
_silent: dict[str, float] = {}  # scope → until when (time.monotonic) nobody is asked


class NoAddressError(Exception):
    """DNS over HTTPS has no address either; its text says why."""


def addresses(session: Session, host: str, *, proxied: bool = False) -> tuple[list[str], str]:
    """Return the addresses, and who gave them. Raises NoAddressError.

    ``proxied``: resolvers are asked through a proxy, which may find those that the system
    does not find.
    """
    from pyodide_offline.network import doh, lookup, resolvers

    chosen = resolvers.chosen(session.environ.get(RESOLVER_VARIABLE, "").split())
    # The answers that `resolve` keeps are good here, too.
    scope = sha256(repr((chosen, doh.AUTO)).encode()).hexdigest()[:12]
    cache = DnsCache(session.store, scope)
    if kept := cache.find(host, "A"):
        return _values(kept[0], "A"), kept[1]
    if time.monotonic() < _silent.get(scope, 0.0):
        raise NoAddressError("no resolver answered a moment ago")

    # Where the system finds no name, it does not find the resolvers' either.
    asked = [one if proxied or not one.addresses else replace(one, by_name=False) for one in chosen]

    async def ask() -> tuple[list[str], str]:
        source = ""
        async with doh.Asker(session, asked) as asker:
            for kind in ("A", "AAAA"):
                reply = await asker.ask(host, kind)
                source = reply.source
                if found := _values(reply.answer, kind):
                    cache.keep(reply.answer, source)
                    return found, source
        raise NoAddressError(f"{source} knows no address either")

    try:
        found = lookup.run(ask, PROXIED_SECONDS if proxied else SECONDS)
    except doh.ResolverFailedError as error:
        raise NoAddressError(f"the resolvers say {error.rcode}") from error
    except NetworkError as error:
        _silent[scope] = time.monotonic() + PAUSE
        raise NoAddressError(error.what.rstrip(".")) from error
    cache.save()
    return found


def _values(answer: Answer, kind: str) -> list[str]:
    return [record.value for record in answer.records if record.type == kind]
