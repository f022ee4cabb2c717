"""The system's resolver, bounded: an event loop that does not wait for a lookup at its end.

asyncio looks names up in its pool of threads and joins them before it returns, so a dead
DNS server would hold a finished command for half a minute. Here each lookup has a daemon
thread of its own, which is left behind.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from pyodide_offline.errors import NetworkError

SECONDS = 5.0  # for one lookup
_T = TypeVar("_T")


class _Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  the base class names it so
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        future: asyncio.Future[list[Any]] = self.create_future()

        def deliver(result: list[Any] | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result or [])

        def work() -> None:
            result, failed = None, None
            try:
                result = socket.getaddrinfo(host, port, family, type, proto, flags)
            except Exception as error:  # raised again where it is awaited
                failed = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.call_soon_threadsafe(deliver, result, failed)

        threading.Thread(target=work, name="lookup", daemon=True).start()
        return await future


def run(work: Callable[[], Coroutine[Any, Any, _T]], seconds: float) -> _T:
    """Run to its end what ``work`` returns. Raises NetworkError after so many seconds."""

    async def bounded() -> _T:
        async with asyncio.timeout(seconds):
            return await work()

    try:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            return runner.run(bounded())
    except TimeoutError as error:
        raise NetworkError(f"There was no answer within {seconds:g} seconds.") from error


async def addresses(name: str) -> list[str]:
    """Return what the system answers: hosts file, DNS, whatever it uses.

    Raises NetworkError with the reason.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise NetworkError(f"no answer within {SECONDS:.0f} seconds") from error
    except socket.gaierror as error:
        raise NetworkError(_REASONS.get(error.errno or 0, str(error.strerror))) from error
    except (OSError, UnicodeError) as error:
        raise NetworkError(str(error)) from error
    return list(dict.fromkeys(str(one[4][0]) for one in found))


_REASONS = {
    socket.EAI_NONAME: "not found",
    socket.EAI_AGAIN: "no name server answers",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "no address",
}
