"""Dials a tunnel's targets: through the proxies that were found for each, or directly.

Never this machine's own listeners, to which our lines in the hosts file lead.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect
from pyodide_offline.network.plane import Far
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.targets import Listen, Target
from pyodide_offline.network.ways import Ways


class Dialer:
    """Dials; ``listening`` are the addresses of the tunnel itself."""

    def __init__(self, environ: Mapping[str, str], ways: Ways) -> None:
        self._environ, self._ways = environ, ways
        self._known: dict[Target, list[str]] = {}
        self.listening: Sequence[tuple[str, int]] = ()

    def resolve(self) -> None:
        """Look up the targets that are dialled directly, before hosts lines hide them."""
        for target, upstreams in self._ways.items():
            if not upstreams:
                self._known[target] = _addresses(target)

    async def dial(self, target: Target) -> Far:
        """Connect to a target. Raises NetworkError."""
        upstreams = self._ways[target]
        if upstreams:
            return await self._connect(target.host, target, upstreams)
        found = [target.host] if _is_address(target.host) else self._known.get(target)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(None, _addresses, target)
        ours = {port for _, port in self.listening}
        if target.port in ours and target.host not in found:
            found = [one for one in found if not Listen(one).loopback]
        failed: NetworkError | None = None
        for address in found:
            try:
                return await self._connect(address, target, ())
            except NetworkError as error:
                failed = error
        raise failed or NetworkError(
            f"{target} has no address but this tunnel's own.",
            why="A line of the hosts file leads here, or no name server answers.",
            next_step="Name a proxy with --proxy: it looks the name up itself.",
        )

    async def _connect(self, host: str, target: Target, upstreams: Sequence[Upstream]) -> Far:
        dialed = await connect.dial(host, target.port, upstreams, environ=self._environ)
        return Far(dialed.socket, dialed.streams, dialed.early)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(target: Target) -> list[str]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[0]).partition("%")[0] for *_, address in found]
