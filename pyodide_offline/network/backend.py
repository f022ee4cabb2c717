"""httpcore's network, over our dialer.

    pool = httpcore.ConnectionPool(network_backend=Dialing(upstreams, environ=environ))

httpcore believes that it is connected to the target itself. So whatever the way was (each
kind of proxy, of login, TLS to the proxy), TLS to the target is httpcore's: ``sni_hostname``
is heeded, which it is not in httpcore's own tunnels. The dialer's NetworkError passes
through httpcore as it is. Loaded late: httpcore takes a while.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpcore

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect
from pyodide_offline.network.connect import Dialed
from pyodide_offline.network.nested import Nested
from pyodide_offline.network.proxies import Upstream

_SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class EarlyBytesError(httpcore.ConnectError):
    """Bytes came through the proxy before TLS had begun: whatever it let in, not the target."""


class Dialing(httpcore.NetworkBackend):
    """Connects through the first of ``upstreams`` that lets it; none: directly.

    ``address`` is connected to in place of the host that httpcore names, whose name the
    certificate is still checked against; ``trust`` is for TLS to the proxy. ``peer`` gives the
    reason why an address that was connected to directly must not be asked, before it is.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream] = (),
        *,
        environ: Mapping[str, str],
        address: str = "",
        trust: ssl.SSLContext | None = None,
        peer: Callable[[str], str] | None = None,
    ) -> None:
        self._upstreams = upstreams
        self._peer = peer
        self._environ = environ
        self._address = address
        self._trust = trust

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the dialer has no use for it
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """Dial. Raises NetworkError, SettingsError."""

        def dial() -> Dialed:
            return connect.dial_sync(
                self._address or host,
                port,
                self._upstreams,
                environ=self._environ,
                timeout=timeout or connect.TIMEOUT,
                trust=self._trust,
            )

        dialed = _apart(dial) if _in_loop() else dial()
        assert dialed.socket is not None  # noqa: S101 - for mypy: dial_sync always has one
        self._hold(host, dialed.socket)
        _set(dialed.socket, socket_options)
        return Stream(dialed.socket, dialed.early)

    def _hold(self, host: str, connected: socket.socket) -> None:
        """Let go of a peer that must not be asked. Raises NetworkError."""
        if self._peer is None or self._upstreams:
            return
        address = str(connected.getpeername()[0]).partition("%")[0]
        if why := self._peer(address):
            connected.close()
            raise NetworkError(f"{host} is not asked.", why=why)


class Stream(httpcore.NetworkStream):
    """A blocking connection; ``early`` came before anything that is read now."""

    def __init__(
        self, connected: socket.socket, early: bytes = b"", inner: Nested | None = None
    ) -> None:
        self._socket = connected
        self._early = early
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what came, b"" at the end; ``timeout`` in seconds."""
        if self._early:
            early, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return early
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            self._socket.settimeout(timeout)
            return (self._inner or self._socket).recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            self._socket.settimeout(timeout)
            (self._inner or self._socket).sendall(buffer)

    def close(self) -> None:
        """Close it at once."""
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Do TLS's handshake; closes the connection where that fails."""
        if self._early:
            self.close()
            raise EarlyBytesError("The server speaks before TLS has begun.")
        try:
            with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
                self._socket.settimeout(timeout)
                if isinstance(self._socket, ssl.SSLSocket):
                    inner = Nested(self._socket, ssl_context, server_hostname)
                    return Stream(self._socket, inner=inner)
                return Stream(
                    ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
                )
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own signature
        """Return what httpcore asks for, None for what is not known."""
        if info == "ssl_object":
            tls = isinstance(self._socket, ssl.SSLSocket)
            return self._inner.tls if self._inner else self._socket if tls else None
        if info == "is_readable":
            return _readable(self._socket)
        return self._socket if info == "socket" else None


@contextmanager
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error


def _set(connected: socket.socket, options: Iterable[_SocketOption] | None) -> None:
    for option in options or ():
        connected.setsockopt(*option)


def _readable(connected: socket.socket) -> bool:
    """Say whether something has come, which an idle connection's end is, too."""
    if connected.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connected], [], [], 0)[0])
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _apart(dial: Callable[[], Dialed]) -> Dialed:
    """Dial in another thread: in this one a loop runs already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(dial).result()
