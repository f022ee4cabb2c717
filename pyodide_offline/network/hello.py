"""Which name a TLS client asks for: the server_name of its ClientHello. Pure.

The rules, from RFC 8446 (sections 4.1.2, 5.1) and RFC 6066 (section 3):

- A record is type (22 for a handshake), version, length of two bytes, then so many bytes;
  a handshake message may be spread over several records.
- The first message is of type 1: version, random (32), session id, cipher suites,
  compression methods, then extensions, each but version and random with its length before.
- Extension 0 holds a list of names; a name of type 0 is a host name in ASCII.

Nothing is believed: each length is checked against what is there, and what has not become
a whole ClientHello within LIMIT bytes is none.
"""

# A hello with the key shares of today is about 2 KiB; nothing honest is near this.
LIMIT = 32 * 1024
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_VERSION_AND_RANDOM = 2 + 32
_MAX_RECORD = 1 << 14


class IncompleteError(Exception):
    """The beginning of a ClientHello: more bytes are needed to say."""


class NotHelloError(Exception):
    """These bytes do not begin a ClientHello."""


def server_name(data: bytes) -> str | None:
    """Return the name in a ClientHello, in lower case without a final dot; None without one.

    Raises IncompleteError while more bytes are needed, NotHelloError for anything else.
    """
    body = _message(data)
    try:
        return _name(_Reader(body))
    except IncompleteError as error:
        # The message is whole, so a length in it points past its end.
        raise NotHelloError("a length in it is wrong") from error


class _Reader:
    """Takes parts off the front; asks for more when there is not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        if self._at + length > len(self._data):
            raise IncompleteError
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, length: int) -> int:
        """Return the next bytes as a number."""
        return int.from_bytes(self.take(length), "big")

    def vector(self, width: int) -> bytes:
        """Return what follows a length of ``width`` bytes."""
        return self.take(self.number(width))


def _message(data: bytes) -> bytes:
    """Return the body of the ClientHello that the records carry."""
    records, message = _Reader(data[:LIMIT]), b""
    try:
        while True:
            if records.number(1) != _HANDSHAKE:
                raise NotHelloError("no TLS handshake record")
            if records.number(1) != 3:
                raise NotHelloError("no TLS version")
            records.take(1)
            length = records.number(2)
            if not 0 < length <= _MAX_RECORD:
                raise NotHelloError("a record of an impossible length")
            message += _some(records, length)
            if message[0] != _CLIENT_HELLO:
                raise NotHelloError("a handshake that does not begin with a ClientHello")
            if len(message) >= 4:
                wanted = 4 + int.from_bytes(message[1:4], "big")
                if wanted > LIMIT:
                    raise NotHelloError("a ClientHello of an impossible length")
                if len(message) >= wanted:
                    return message[4:wanted]
    except IncompleteError as error:
        if len(data) >= LIMIT:
            raise NotHelloError(f"no whole ClientHello in {LIMIT} bytes") from error
        raise


def _some(records: _Reader, length: int) -> bytes:
    """Return a record's content; a first byte that is wrong is told before the rest is there."""
    first = records.take(1)
    if first[0] != _CLIENT_HELLO and length == 1:
        return first
    return first + records.take(length - 1)


def _name(hello: _Reader) -> str | None:
    hello.take(_VERSION_AND_RANDOM)
    hello.vector(1)
    hello.vector(2)
    hello.vector(1)
    if not hello:
        return None
    extensions = _Reader(hello.vector(2))
    while extensions:
        kind = extensions.number(2)
        content = extensions.vector(2)
        if kind == _SERVER_NAME:
            return _host(_Reader(content))
    return None


def _host(content: _Reader) -> str | None:
    names = _Reader(content.vector(2))
    while names:
        kind = names.number(1)
        name = names.vector(2)
        if kind == _HOST_NAME:
            try:
                text = name.decode("ascii").lower().rstrip(".")
            except UnicodeDecodeError as error:
                raise NotHelloError("a name that is not ASCII") from error
            if not text or not text.isprintable() or " " in text:
                raise NotHelloError("a name that is none")
            return text
    return None
