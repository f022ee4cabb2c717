"""Which way led to a host the last time, for each network: one small memo of the store.

Only what is not the first way anyway is kept, and for a day: then the first one gets its
chance again. Neither networks nor hosts can be read in it.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

from pyodide_offline.network.proxies import Upstream
from pyodide_offline.store import Store

SECONDS = 86400
LIMIT = 50  # hosts
_KIND = "ways"


class Remembered:
    """The memory of one network: that of ``gateway`` (see there) and these proxies."""

    def __init__(
        self,
        store: Store,
        gateway: str,
        upstreams: Sequence[Upstream],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._clock = clock
        self._network = _hash(gateway, *map(str, upstreams))

    def find(self, host: str) -> str:
        """Return the key of the way to a host (see ``routes.Way``), or nothing."""
        key, _ = self._kept().get(_hash(self._network, host), ("", 0.0))
        return key

    def keep(self, host: str, key: str) -> None:
        """Keep a way for a day."""
        kept = self._kept()
        kept[_hash(self._network, host)] = key, self._clock() + SECONDS
        last = sorted(kept, key=lambda one: kept[one][1])[-LIMIT:]
        self._store.remember(_KIND, self._network, {one: kept[one] for one in last})

    def forget(self, host: str) -> None:
        """Drop what is kept for a host."""
        kept = self._kept()
        if kept.pop(_hash(self._network, host), None):
            self._store.remember(_KIND, self._network, kept)

    def _kept(self) -> dict[str, tuple[str, float]]:
        memo = self._store.memo(_KIND, self._network)
        found: dict[str, tuple[str, float]] = {}
        for host, value in memo.items() if isinstance(memo, dict) else ():
            match value:
                # Further away than a day: a clock that was set back.
                case [str(key), (int() | float()) as until] if 0 < until - self._clock() <= SECONDS:
                    found[host] = key, until
        return found


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
