"""The waiting end of the shim's socket: answers while the command runs.

Cap'n Proto and the schema, some 80 ms, are loaded once on this side and not in each shim.
"""

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.workers import shim

if TYPE_CHECKING:
    from pyodide_offline.workers.answer import Answer

_KEPT = 1 << 14  # bytes of workerd's words
Answering = Callable[[bytes], "Answer"]


class LastWords:
    """The end of what the last workerd wrote to its standard error, passed on as it came."""

    def __init__(self) -> None:
        self._kept = b""
        self._threads: list[threading.Thread] = []

    def text(self, seconds: float = 1.0) -> str:
        """Return it, after what is still on its way; waits as long at most."""
        for thread in self._threads:
            thread.join(seconds)
        return self._kept.decode("utf-8", "replace")

    def hear(self, reading: int, onward: int) -> None:
        """Begin to pass on from one handle to the other, until workerd closes it."""
        self._kept = b""
        thread = threading.Thread(target=self._pass_on, args=(reading, onward), daemon=True)
        thread.start()
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]

    def _pass_on(self, reading: int, onward: int) -> None:
        try:
            while chunk := os.read(reading, 1 << 16):
                self._kept = (self._kept + chunk)[-_KEPT:]
                with suppress(OSError):  # nobody reads it any more; workerd is not to wait
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(onward, view) :]
        finally:
            os.close(reading)
            os.close(onward)


@contextmanager
def serving(
    answering: Answering, report: Callable[[str], None], words: LastWords | None = None
) -> Iterator[str | None]:
    """Answer shims until the block ends; yields the socket's path for their environment.

    None where there are no local sockets (Windows): the shim answers itself there.
    ``report`` is told of errors that are not the user's; ``words`` hears workerd.
    """
    if sys.platform == "win32":
        yield None
        return
    # mkdtemp makes it 0700: nobody else can connect, or put another socket in its place.
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as folder:
        path = str(Path(folder) / "shim")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen()
            thread = threading.Thread(
                target=_accept, args=(listener, answering, report, words), daemon=True
            )
            thread.start()
            try:
                yield path
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(timeout=1)


def _accept(
    listener: socket.socket,
    answering: Answering,
    report: Callable[[str], None],
    words: LastWords | None,
) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        # One after the other: two shims of one wrangler would want the same bundle anyway.
        with peer, suppress(OSError):
            _serve(peer, answering, report)
            if words:
                _listen(peer, words)


def _listen(peer: socket.socket, words: LastWords) -> None:
    """Take both ends of the shim's standard error, if it sends them."""
    told, handles, _, _ = socket.recv_fds(peer, 1, 2)
    if told != shim.HEARD or len(handles) != 2:
        for handle in handles:
            os.close(handle)
        return
    words.hear(*handles)
    peer.sendall(shim.HEARD)


def _serve(peer: socket.socket, answering: Answering, report: Callable[[str], None]) -> None:
    peer.settimeout(shim.PATIENCE)
    message = shim.receive(peer)
    try:
        found = answering(message)
    except PyodideOfflineError as error:
        shim.send(peer, str(error).encode())
        return
    except Exception as error:
        # The shim says so too, and starts workerd untouched.
        report(f"{type(error).__name__}: {error}")
        shim.send(peer, f"internal error: {error}".encode())
        return
    shim.send(peer, b"")
    shim.send(peer, "\0".join(found.arguments).encode())
    shim.send(peer, found.message)
