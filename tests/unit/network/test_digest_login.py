"""Digest, computed here a second time from RFC 7616 §3.4.1."""

import hashlib
import re

import pytest

from pyodide_offline.network.challenges import Challenge, parse
from pyodide_offline.network.digest_login import Digest, fits, strongest

_TARGET = "example.com:443"


def _challenge(text: str) -> Challenge:
    (one,) = parse([f'Digest realm="r", nonce="n1", {text}'])
    return one


def _fields(value: str | None) -> dict[str, str]:
    assert value is not None
    assert value.startswith("Digest ")
    return {name: quoted or bare for name, quoted, bare in _PAIRS.findall(value)}


_PAIRS = re.compile(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@pytest.mark.parametrize(
    ("text", "hashed", "session"),
    [
        ("qop=auth", "md5", False),
        ('algorithm=MD5, qop="auth-int, auth", opaque="o"', "md5", False),
        ("algorithm=SHA-256, qop=auth", "sha256", False),
        ("algorithm=SHA-256-sess, qop=auth", "sha256", True),
        ("algorithm=md5-sess", "md5", True),
        ("algorithm=MD5", "md5", False),
        ('opaque=""', "md5", False),
    ],
)
def test_the_response_is_what_the_rfc_says(text: str, hashed: str, session: bool) -> None:
    def digest(value: str) -> str:
        return hashlib.new(hashed, value.encode()).hexdigest()

    challenge = _challenge(text)
    fields = _fields(Digest("joe", "s3cret", _TARGET).step(challenge))
    secret = digest("joe:r:s3cret")
    if session:
        secret = digest(f"{secret}:n1:{fields['cnonce']}")
    request = digest(f"CONNECT:{_TARGET}")
    if "qop" in text:
        assert fields["qop"] == "auth"
        middle = f"n1:{fields['nc']}:{fields['cnonce']}:auth"
    else:  # the form of RFC 2069
        assert not {"qop", "nc"} & fields.keys()
        middle = "n1"
    assert fields["response"] == digest(f"{secret}:{middle}:{request}")
    assert (fields["username"], fields["uri"], fields["nonce"]) == ("joe", _TARGET, "n1")
    for name in ("algorithm", "opaque"):
        assert (name in fields) == (name in text)


def test_it_answers_once_and_once_more_when_the_nonce_was_too_old() -> None:
    login = Digest("joe", "s3cret", _TARGET)
    assert not login.proved
    assert login.step(_challenge("qop=auth"))
    assert login.proved
    assert login.step(_challenge("qop=auth")) is None
    assert login.step(_challenge("qop=auth, stale=TRUE"))
    assert login.step(_challenge("qop=auth, stale=true")) is None


def test_a_password_is_in_nothing_that_is_sent() -> None:
    value = Digest("joe", "s3cret", _TARGET).step(_challenge("qop=auth"))
    assert "s3cret" not in str(value)


@pytest.mark.parametrize(
    ("text", "username"),
    [
        ("qop=auth", ('username="jörg"', "latin-1")),
        ("qop=auth, charset=UTF-8", ("username*=UTF-8''j%C3%B6rg", "utf-8")),
    ],
)
def test_letters_beyond_ascii(text: str, username: tuple[str, str]) -> None:
    value = Digest("jörg", "pässword", _TARGET).step(_challenge(text)) or ""
    assert username[0] in value
    fields = _fields(value)
    secret = hashlib.md5("jörg:r:pässword".encode(username[1])).hexdigest()  # noqa: S324
    request = hashlib.md5(f"CONNECT:{_TARGET}".encode()).hexdigest()  # noqa: S324
    middle = f"n1:{fields['nc']}:{fields['cnonce']}:auth"
    wanted = hashlib.md5(f"{secret}:{middle}:{request}".encode()).hexdigest()  # noqa: S324
    assert fields["response"] == wanted


@pytest.mark.parametrize("text", ["qop=auth-int", "algorithm=SHA-512-256", "algorithm=none"])
def test_what_cannot_be_answered(text: str) -> None:
    assert not fits(_challenge(text))
    assert not fits(Challenge("digest", params=(("realm", "no nonce"),)))


def test_the_stronger_hash_comes_first() -> None:
    weak, strong = _challenge("algorithm=MD5"), _challenge("algorithm=SHA-256")
    assert strongest([weak, _challenge("algorithm=x"), strong]) == [strong, weak]


def test_quotes_in_names_are_escaped() -> None:
    (challenge,) = parse(['Digest realm="a \\"b\\"", nonce="n"'])
    value = Digest('jo"e', "x", _TARGET).step(challenge) or ""
    assert 'username="jo\\"e"' in value
    assert 'realm="a \\"b\\""' in value
