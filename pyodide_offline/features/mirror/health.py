"""Whether a front lives (/healthz), and whether it should get requests (/readyz).

A front lives as long as it answers. It is ready when it is not stopping and its store
answered within the last seconds, or it has a local cache to go on with: a front without
its store still serves what it has, and must not be taken out together with all the others.
One that was started without its store has only what its disk has: it is not ready before the
store was there once.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.mirror import names, replies
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.replies import Receive, Reply, Scope, Send

_FRESH_S = 2.0
_PATIENCE_S = 2.0
_ASKED = names.ref_key("health", "probe")


@dataclass(frozen=True)
class Condition:
    """What was found: the store answers or not."""

    depot: bool
    when: float


class Health:
    """The condition of one front. ``stopping`` is set when it lets no more requests in.

    ``begun`` says whether its store was there since it was started.
    """

    def __init__(
        self, depot: Depot, events: Events, begun: Callable[[], bool] = lambda: True
    ) -> None:
        self.stopping = False
        self._begun = begun
        self._depot = depot
        self._events = events
        self._last: Condition | None = None
        self._asking: asyncio.Task[Condition] | None = None

    async def condition(self) -> Condition:
        """Ask the store whether it answers; once for all who want to know just now."""
        if self._last and time.monotonic() - self._last.when < _FRESH_S:
            return self._last
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def live(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer /healthz."""
        await replies.as_json({"status": "ok"}).send(scope, send)

    async def ready(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer /readyz: 503 where no new requests should come."""
        await (await self.readiness()).send(scope, send)

    async def readiness(self) -> Reply:
        """Return what /readyz says."""
        if self.stopping:
            return replies.as_json({"status": "stopping"}, 503)
        if not self._begun():
            return replies.as_json({"status": "waiting", "store": "down"}, 503)
        found = await self.condition()
        # Degraded is not unready: what is cached here goes on being served.
        status = "ok" if found.depot else "degraded"
        return replies.as_json({"status": status, "store": "ok" if found.depot else "down"})

    async def _ask(self) -> Condition:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._depot.head(_ASKED)
        except (PyodideOfflineError, TimeoutError) as error:
            if self._last is None or self._last.depot:  # told once, not at each probe
                self._events.error("depot", error if str(error) else "The store did not answer.")
            found = Condition(False, time.monotonic())
        else:
            if self._last and not self._last.depot:
                self._events.note("store answers again")
            found = Condition(True, time.monotonic())
        self._last = found
        return found
