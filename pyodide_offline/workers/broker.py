"""The waiting end of the shim's socket: answers while the command runs.

Cap'n Proto and the schema, some 80 ms, are loaded once on this side and not in each shim.
"""

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

Answering = Callable[[bytes], "Answer"]


@contextmanager
def serving(answering: Answering, report: Callable[[str], None]) -> Iterator[str | None]:
    """Answer shims until the block ends; yields the socket's path for their environment.

    None where there are no local sockets (Windows): the shim answers itself there.
    ``report`` is told of errors that are not the user's.
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
                target=_accept, args=(listener, answering, report), daemon=True
            )
            thread.start()
            try:
                yield path
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(timeout=1)


def _accept(listener: socket.socket, answering: Answering, report: Callable[[str], None]) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        # One after the other: two shims of one wrangler would want the same bundle anyway.
        with peer, suppress(OSError):
            _serve(peer, answering, report)


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
