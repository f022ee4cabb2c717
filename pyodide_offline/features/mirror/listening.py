"""Where a front listens: a host and port, or a socket file, told in one word."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyodide_offline.errors import NetworkError, SettingsError


@contextmanager
def reserved(listen: str) -> Iterator[tuple[str, int, Path | None]]:
    """Yield host, port and socket file, the port being ours: 0 is chosen here, once.

    It is held by a socket that does not listen; the server's own is bound beside it.
    """
    host, port, unix = address(listen)
    if unix:
        yield host, port, unix
        return
    try:
        family, kind, number, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(where)
            where = alone.getsockname()
        holder = socket.socket(family, kind, number)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(where)
    except OSError as error:
        raise NetworkError(
            f"Nothing can be listened to at {listen}.",
            why=f"{error.strerror or error}.",
            next_step="Name another address with --listen.",
        ) from error
    with holder:
        yield str(where[0]), int(where[1]), None


async def taking(host: str, port: int, unix: Path | None, serving: "asyncio.Task[None]") -> None:
    """Wait until the server takes connections. Raises NetworkError if it ends before."""
    while not serving.done():
        with suppress(OSError):
            asked = (
                asyncio.open_unix_connection(unix) if unix else asyncio.open_connection(host, port)
            )
            _, writer = await asked
            writer.close()
            return
        await asyncio.sleep(0.01)
    cause = serving.exception()
    raise NetworkError("The mirror's server did not start.", why=f"{cause}") from cause


def address(listen: str) -> tuple[str, int, Path | None]:
    """Read --listen: HOST:PORT, [IPV6]:PORT, PORT or unix:PATH. Raises SettingsError."""
    if listen.startswith("unix:"):
        return "127.0.0.1", 0, Path(listen.removeprefix("unix:"))
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise SettingsError(
            f"{listen!r} is no address to listen at.",
            next_step="Name it as 127.0.0.1:8417, [::1]:8417 or unix:/run/mirror.sock.",
        )
    return host.strip("[]") or "127.0.0.1", int(port), None
