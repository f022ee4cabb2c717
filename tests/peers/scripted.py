"""A proxy on loopback that gives the same answers to every connection, and keeps what it heard.

with Scripted(b"HTTP/1.1 403 No\r\n\r\n") as proxy:
    ...  # proxy.port, proxy.heads
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Scripted:
    """Each request of a connection gets the next answer; after the last one it is closed.

    With ``hold`` it stays open instead, and nothing more is said. ``heads`` are the heads of
    all requests.
    """

    def __init__(self, *answers: bytes, hold: bool = False) -> None:
        self._answers = answers
        self._hold = hold
        self._server = socket.create_server(("127.0.0.1", 0), backlog=32)
        self._over = threading.Event()
        self.port: int = self._server.getsockname()[1]
        self.heads: list[bytes] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(10)
            for answer in self._answers or (b"",):
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    if not (data := client.recv(65536)):
                        return
                    head += data
                self.heads.append(head)
                client.sendall(answer)
            if self._hold:
                self._over.wait(30)
            # An end, and never a reset, which is what closing over unread bytes is.
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
