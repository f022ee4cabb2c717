"""A CONNECT proxy on loopback that looks names up in a table of its own, and keeps a log.

    with Proxy({("a.example", 443): ("127.0.0.1", 8443)}, login="me:secret") as proxy:
        ...  # proxy.url, proxy.asked

It relays with asyncio's streams, and carries ends as ends. Standard library only.
"""

import asyncio
import base64
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

Address = tuple[str, int]


class Proxy:
    """Runs in a thread. ``asked`` are the targets of all CONNECTs that it let through.

    With ``tls`` it is an https proxy.
    """

    def __init__(
        self,
        names: Mapping[Address, Address],
        login: str = "",
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._names = names
        self._tls = tls
        self._login = "Basic " + base64.b64encode(login.encode()).decode() if login else ""
        self.asked: list[Address] = []
        self.port = 0
        self._serving: set[asyncio.Task[Any]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def url(self) -> str:
        """Where it is, without the login."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, backlog=2000, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        # Several times: who was let in at the last moment is served by then, and what was
        # aborted is closed before the loop is.
        for _ in range(5):
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())  # type: ignore[arg-type]
        back: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split()[1].rpartition(":")
            address = (target[0].strip("[]"), int(target[2]))
            if self._login and self._login not in head:
                challenge = 'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n'
                writer.write(f"HTTP/1.1 407 No\r\n{challenge}\r\n".encode())
                return await self._serve(reader, writer)
            if address not in self._names:
                writer.write(b"HTTP/1.1 502 Unknown\r\nContent-Length: 0\r\n\r\n")
                return None
            self.asked.append(address)
            there, back = await _opened(self._names[address])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
            back.close()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
            if back is not None:
                back.transport.abort()
        finally:
            writer.close()


async def _opened(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    opening = asyncio.ensure_future(asyncio.open_connection(*address))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        if not opening.cancel() and not opening.exception():  # it is open all the same
            opening.result()[1].transport.abort()
        raise


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():  # TLS has no half close
        writer.write_eof()
    else:
        writer.close()
