"""The way out of the workers' own requests: a forwarder, made when a configuration wants one.

Its loop runs in a thread of its own. What it may connect to is decided by each
configuration, so configurations with different permits have different forwarders.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyodide_offline.network import proxies
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import asyncio
    import ssl

    from pyodide_offline.network.forwarder import Forwarder
    from pyodide_offline.network.hops import Target
    from pyodide_offline.network.outbound import Outbound
    from pyodide_offline.network.permits import Permits
    from pyodide_offline.network.proxies import Upstream

# A name that no NO_PROXY takes out, but the one that takes out everything.
_OUTSIDE = "outside.invalid"
_STOP_WITHIN = 5.0


def wanted(session: Session) -> bool:
    """Say whether the user has named a proxy for what is outside, or a PAC file.

    npm's and pip's settings do not count here: they name proxies for what those two load,
    and would have to be read at each start. Raises SettingsError.
    """
    if session.pac:
        return True
    return any(
        proxies.for_target(session.environ, scheme, _OUTSIDE, port, named=session.proxies)
        for scheme, port in (("https", 443), ("http", 80))
    )


class Internet:
    """The forwarders of one ``run``."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self._environ = session.environ
        self._upstreams = Upstreams(session)
        self._say = say
        self._lock = threading.Lock()
        self._running: dict[Permits, Forwarder] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._trust: ssl.SSLContext | None = None

    def address(self, permits: "Permits") -> str:
        """Return where workerd finds the forwarder for these permits. Raises OSError."""
        from pyodide_offline.network.forwarder import Forwarder

        with self._lock:
            if permits not in self._running:
                made = Forwarder(self._outbound(permits), self._say)
                self._do(made.start())
                self._running[permits] = made
            return f"unix:{self._running[permits].path}"

    def close(self) -> None:
        """End all forwarders."""
        with self._lock:
            if self._loop is None or self._thread is None:
                return
            for one in self._running.values():
                self._do(one.stop())
            self._running.clear()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_WITHIN)
            if not self._thread.is_alive():
                self._loop.close()
            self._loop = self._thread = None

    def _outbound(self, permits: "Permits") -> "Outbound":
        from pyodide_offline.network.outbound import Outbound

        return Outbound(permits, self._ways, self._context, self._environ)

    def _ways(self, target: "Target") -> "list[Upstream]":
        # What is tunnelled, connect() of a worker, goes where https goes.
        scheme = "http" if target.scheme == "http" else "https"
        return self._upstreams.for_target(scheme, target.host, target.port)

    def _context(self) -> "ssl.SSLContext":
        if self._trust is None:
            from pyodide_offline.network import trust

            self._trust = trust.context(self._environ, note=self._say)
            self._trust.set_alpn_protocols(["http/1.1"])
        return self._trust

    def _do(self, work: Any) -> None:  # noqa: ANN401 - a coroutine, whatever it gives
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="internet", daemon=True
            )
            self._thread.start()
        asyncio.run_coroutine_threadsafe(work, self._loop).result()
