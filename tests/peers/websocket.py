"""A WebSocket's client, as far as the tests need one (RFC 6455): text, and how it ends."""

import base64
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urlsplit

# RFC 6455, section 1.3: what a server adds to the key before it hashes it.
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE = 1, 8


class Socket:
    """An open connection."""

    def __init__(self, connection: socket.socket, stream: BinaryIO) -> None:
        self._connection = connection
        self._stream = stream

    def send(self, text: str) -> None:
        """Send a short text, masked as a client must."""
        content = text.encode()
        assert len(content) < 126
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._connection.sendall(bytes([0x80 | _TEXT, 0x80 | len(content)]) + mask + masked)

    def receive(self) -> str | int:
        """Return the next text, or the number with which the server closed."""
        kind, size = self._stream.read(2)
        assert size < 126, "one short frame, not masked"
        content = self._stream.read(size)
        if kind == 0x80 | _CLOSE:
            return int.from_bytes(content[:2], "big")
        assert kind == 0x80 | _TEXT, kind
        return content.decode()


@contextmanager
def connected(url: str, timeout: float = 30) -> Iterator[Socket]:
    """Open a WebSocket at an http URL."""
    parts = urlsplit(url)
    assert parts.hostname
    key = base64.b64encode(os.urandom(16))
    with (
        socket.create_connection((parts.hostname, parts.port or 80), timeout) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\n\r\n".encode()
        )
        head = [stream.readline().strip()]
        while head[-1]:
            head.append(stream.readline().strip())
        assert head[0].split()[1] == b"101", head
        accepted = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest())
        assert b"sec-websocket-accept: " + accepted.lower() in [line.lower() for line in head]
        yield Socket(connection, stream)
