"""TLS inside TLS on a blocking socket: to a target, through a proxy that speaks TLS itself.

``ssl`` wraps no SSLSocket a second time, so the inner TLS works on memory, and what it
writes and wants to read goes over the outer connection.
"""

import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar

RECORD = 16384  # bytes; a record of TLS is not longer (RFC 8446 §5.1)
_T = TypeVar("_T")


class Nested:
    """The inner TLS; its handshake is done in the constructor. Raises OSError."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str | None) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._through(self.tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """Return what came; b"" is the end."""
        try:
            return self._through(partial(self.tls.read, size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._through(partial(self.tls.write, rest)) :]

    def _through(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._outer.recv(RECORD):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert says to the other side why
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if out := self._outgoing.read():
            self._outer.sendall(out)
