"""One worker for one thing in the whole fleet: a lease is an object in the depot.

Who creates the object holds the lease, and changes it every third of its term: a beat.
Who finds it there watches. No two clocks are ever compared: a lease is over for a watcher
once the watcher itself has seen the same value for a whole term of its own clock. It is
then taken over by compare-and-swap on that value, which one of any number of watchers wins,
and which the former holder, if it lives, notices at its next beat.

A lease given back stays as an object that says so, to be taken at once: removing it could
remove the lease of the next holder. `pruning` removes those that nobody took for a day.

A lease saves work, it protects nothing: a holder that was stopped for longer than a term
may wake up and go on beside the next one. What both write is create-only and verified.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot

TERM_S = 6.0
_BEATS = 3
# A holder may be slower than its own word by as much before it is taken for dead.
_GRACE = 1.25
_FREE = b'{"free":true}'


class Leases:
    """The leases of one front. ``who`` names it in the objects, for people."""

    def __init__(
        self,
        depot: Depot,
        who: str = "",
        *,
        term: float = TERM_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.depot = depot
        self.term = term
        self._who = who or f"{socket.gethostname()} {os.getpid()}"
        self._clock = clock
        # Key → the etag that was seen last, since when, and how long it may stand.
        self._seen: dict[str, tuple[str, float, float]] = {}

    async def take(self, name: str) -> "Lease | None":
        """Take the lease for a thing, or None while another front holds it.

        Ask again after a while (a third of ``term``): only who asks repeatedly finds out
        that a holder is gone. Raises DepotDownError.
        """
        key, value = names.lease_key(name), self._value(0)
        found = await self.depot.get(key)
        if found is not None and not self._is_over(key, *found):
            return None
        etag = await self.depot.swap(key, value, found[1] if found else None)
        if etag is None:
            etag = await self._written_all_the_same(key, value)
        if etag is None:
            return None
        self._seen.pop(key, None)
        return Lease(self, key, etag, value)

    async def retire(self, key: str, etag: str) -> bool:
        """Remove a lease's object if it is as it was; False if somebody has taken it since.

        It is taken first: of what is held nobody thinks that it is free. Raises DepotDownError.
        """
        if await self.depot.swap(key, self._value(0), etag) is None:
            return False
        await self.depot.remove(key)
        return True

    def _value(self, beat: int, token: str = "") -> bytes:
        return json.dumps(
            {
                "beat": beat,
                "term": self.term,
                "token": token or os.urandom(12).hex(),
                "who": self._who,
            },
            sort_keys=True,
        ).encode()

    def _is_over(self, key: str, value: bytes, etag: str) -> bool:
        if value == _FREE:
            return True
        now = self._clock()
        seen, since, term = self._seen.get(key, ("", now, self.term))
        if seen != etag:
            if len(self._seen) > 10_000:  # only those that are watched matter
                self._seen.clear()
            self._seen[key] = (etag, now, max(self.term, _term(value)) * _GRACE)
            return False
        return now - since >= term

    async def _written_all_the_same(self, key: str, value: bytes) -> str | None:
        """Return the etag if the value is there: a store's answer that got lost, asked again."""
        found = await self.depot.get(key)
        return found[1] if found is not None and found[0] == value else None


class Lease:
    """A lease that is held: ``async with lease`` beats until the block ends, then gives back.

    ``lost`` is set when another front took it over, or when the depot could not be reached
    for so long that another may have.
    """

    def __init__(self, leases: Leases, key: str, etag: str, value: bytes) -> None:
        self.key = key
        self.lost = asyncio.Event()
        self._leases = leases
        self._etag = etag
        self._token = str(json.loads(value)["token"])
        self._beat = 0
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        # A depot that is down forgets the lease by itself: it is over after a term.
        with contextlib.suppress(DepotDownError):
            await self.release()

    async def beat(self) -> bool:
        """Say once that the holder lives; False if the lease is lost. Raises DepotDownError."""
        self._beat += 1
        value = self._leases._value(self._beat, self._token)
        if (etag := await self._swap(value)) is None:
            self.lost.set()
            return False
        self._etag = etag
        return True

    async def release(self) -> None:
        """Let the next one have it at once. Raises DepotDownError."""
        if not self.lost.is_set():
            await self._swap(_FREE)

    async def _swap(self, value: bytes) -> str | None:
        """Swap from the last beat that is there: of some the answer may have got lost."""
        depot = self._leases.depot
        if (etag := await depot.swap(self.key, value, self._etag)) is not None:
            return etag
        found = await depot.get(self.key)
        if found is None or _told(found[0]).get("token") != self._token:
            return None
        return found[1] if found[0] == value else await depot.swap(self.key, value, found[1])

    async def _keep(self) -> None:
        term = self._leases.term
        silent_since = time.monotonic()
        while not self.lost.is_set():
            await asyncio.sleep(term / _BEATS)
            began = time.monotonic()
            with contextlib.suppress(DepotDownError, TimeoutError):
                # Not longer than others wait, however slow the depot.
                async with asyncio.timeout(silent_since + term - began):
                    await self.beat()
                silent_since = began
            if time.monotonic() - silent_since >= term:
                self.lost.set()


def _told(value: bytes) -> dict[str, Any]:
    try:
        told = json.loads(value)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _term(value: bytes) -> float:
    """Return the term that a holder names, within reason: anyone may have written it."""
    term = _told(value).get("term")
    return min(float(term), 60.0) if isinstance(term, int | float) and term > 0 else 0.0
