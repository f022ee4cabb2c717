"""The name in a ClientHello: whole, in pieces, and in garbage."""

import random
import ssl

import pytest

from pyodide_offline.network import hello


def client_hello(name: str | None) -> bytes:
    """Have OpenSSL write a real one."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """Spread the message of one record over records of a size."""
    head, message = data[:3], data[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(head + len(part).to_bytes(2, "big") + part for part in parts)


@pytest.mark.parametrize("name", ["a.example", "PYODIDE.Example", "x" * 60 + ".example"])
def test_the_name_is_found(name):
    assert hello.server_name(client_hello(name)) == name.lower()


def test_a_hello_without_a_name_has_none():
    assert hello.server_name(client_hello(None)) is None


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_message_over_many_records_is_put_together(size):
    assert hello.server_name(in_records(client_hello("a.example"), size)) == "a.example"


def test_byte_by_byte_it_asks_for_more_until_it_knows():
    data = client_hello("a.example")
    for length in range(len(data)):
        with pytest.raises(hello.IncompleteError):
            hello.server_name(data[:length])
    assert hello.server_name(data + b"what follows") == "a.example"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x",
        b"\x16\x02\x01\x00\x05",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
    ],
)
def test_what_is_none_is_refused_at_once(data):
    with pytest.raises(hello.NotHelloError):
        hello.server_name(data)


def test_a_hello_that_never_becomes_whole_is_refused():
    endless = b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x01\x00" * hello.LIMIT
    with pytest.raises(hello.NotHelloError):
        hello.server_name(endless)
    small = b"\x16\x03\x01\x40\x00" + b"\x01\x00\x7f\x00" + b"\x00" * (2**14 - 4)
    with pytest.raises(hello.NotHelloError):
        hello.server_name(small * 3)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a b", b"", b".", b"a\x00b"])
def test_a_name_that_is_none_is_refused(name):
    # A hello of its own with just this extension.
    content = b"\x00" + len(name).to_bytes(2, "big") + name
    listed = len(content).to_bytes(2, "big") + content
    extension = b"\x00\x00" + len(listed).to_bytes(2, "big") + listed
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += len(extension).to_bytes(2, "big") + extension
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    with pytest.raises(hello.NotHelloError):
        hello.server_name(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)


def test_changed_bytes_never_end_in_anything_else():
    data = client_hello("a.example")
    dice = random.Random(5)  # noqa: S311
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        try:
            name = hello.server_name(bytes(changed[: dice.randint(0, len(changed))]))
        except (hello.IncompleteError, hello.NotHelloError):
            continue
        assert name is None or name.isascii()
