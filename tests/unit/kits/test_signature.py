"""minisign's files read: which are taken and which are not."""

import base64
import dataclasses

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import signature
from tests.peers import kits

MESSAGE = b"message"


def test_what_was_signed_is_verified_with_its_comment() -> None:
    key = kits.key()
    found = signature.read(key.sign(MESSAGE, "kit one serial 1"))
    assert found.comment == "kit one serial 1"
    assert found.name == key.public.name
    assert found.offered == key.public
    assert signature.verified(key.public, found, MESSAGE)
    assert not signature.verified(key.public, found, MESSAGE + b"!")
    assert not signature.verified(kits.key(2).public, found, MESSAGE)
    other = dataclasses.replace(found, comment="kit one serial 2")
    assert not signature.verified(key.public, other, MESSAGE)


def test_a_key_under_the_id_of_another_is_not_that_one() -> None:
    key, other = kits.key(), kits.key(2)
    forged = dataclasses.replace(key, seed=other.seed).sign(MESSAGE, "")
    assert not signature.verified(key.public, signature.read(forged), MESSAGE)


def test_a_public_key_is_one_line_with_or_without_its_comment() -> None:
    key = kits.key().public
    assert len(key.line) == 56
    assert key.line.startswith("RW")
    assert signature.public_key(key.line) == key
    assert signature.public_key(f"untrusted comment: x\n{key.line}\n") == key


@pytest.mark.parametrize(
    "text", ["", "RW", "é", "x" * 56, "a\nb\nc", base64.b64encode(bytes(42)).decode()]
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="no public key"):
        signature.public_key(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"untrusted comment: ", b""),
        (b"trusted comment: kit", b"kit"),
        (b"\n", b"\r\n"),
        (b"\nRU", b"\nRX"),
        (b"\nRU", b"\n"),
        (b"serial", b"\xff"),
        (b"serial", b"s" * 5000),
    ],
    ids=repr,
)
def test_another_form_is_refused(old: bytes, new: bytes) -> None:
    data = kits.key().sign(MESSAGE, "kit one serial 1")
    assert old in data
    with pytest.raises(IntegrityError, match="cannot be read"):
        signature.read(data.replace(old, new))
