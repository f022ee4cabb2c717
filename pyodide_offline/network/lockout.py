"""What logins came to, for the length of a process: no account is locked by our retries.

A tunnel dials for every connection of its clients. A password that a proxy refused is not
sent again for PAUSE seconds, not even by dials that run at the same time: until a proxy
has taken a password once, one dial tries it and the others wait for the outcome. A login
that went well is remembered by its scheme, which saves the next dial a round trip.
"""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.proxies import Upstream

PAUSE = 600.0  # seconds; accounts are locked by several failures within minutes
_Key = tuple[str, str, str]


class Lockout:
    """The memory. ``clock`` is for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: dict[_Key, tuple[float, NetworkError]] = {}
        self._schemes: dict[_Key, str] = {}
        self._locks: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[_Key, asyncio.Lock]
        ] = weakref.WeakKeyDictionary()

    def forget(self) -> None:
        """Forget every login, taken or refused."""
        self._refused.clear()
        self._schemes.clear()

    def scheme(self, upstream: Upstream) -> str:
        """Return the scheme of the last login that this proxy took, or an empty string."""
        mine = [value for key, value in self._schemes.items() if key[0] == str(upstream)]
        return mine[-1] if mine else ""

    def went_well(self, upstream: Upstream, credentials: Credentials, scheme: str) -> None:
        """Remember a login."""
        self._schemes[_key(upstream, credentials)] = scheme

    def failed(self, upstream: Upstream, credentials: Credentials, error: NetworkError) -> None:
        """Remember that a password was refused."""
        key = _key(upstream, credentials)
        self._schemes.pop(key, None)
        self._refused[key] = (self._clock() + PAUSE, error)

    def check(self, upstream: Upstream, credentials: Credentials) -> None:
        """Raise the NetworkError of the last time where this password was refused."""
        self._check(_key(upstream, credentials))

    @asynccontextmanager
    async def trial(self, upstream: Upstream, credentials: Credentials) -> AsyncIterator[None]:
        """Hold while a password is tried whose outcome is not known yet.

        Raises the NetworkError of the last time where it was refused.
        """
        key = _key(upstream, credentials)
        if key in self._schemes:
            yield
            return
        locks = self._locks.setdefault(asyncio.get_running_loop(), {})
        lock = locks.setdefault(key, asyncio.Lock())
        async with lock:
            self._check(key)
            if key not in self._schemes:
                yield
                return
        yield

    def _check(self, key: _Key) -> None:
        until, error = self._refused.get(key, (0.0, None))
        if error is None:
            return
        if self._clock() >= until:
            del self._refused[key]
            return
        # A new one each time: an exception that is raised twice collects tracebacks.
        raise NetworkError(error.what, why=error.why, next_step=error.next_step, kind=error.kind)


def _key(upstream: Upstream, credentials: Credentials) -> _Key:
    return str(upstream), credentials.user, credentials.password
