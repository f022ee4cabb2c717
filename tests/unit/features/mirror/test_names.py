import itertools
import random
import re

import pytest

from pyodide_offline.features.mirror import names

_HEX = "0123456789abcdef" * 4
_ODD = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "a/b",
    "a//b",
    "@scope/name",
    "%2f",
    "=2f",
    "JSONStream",
    "jsonstream",
    "a\0b",
    "ü",
    "u\u0308",
    "\ud800",
    "con",
    "a" * 199,
    "a" * 200,
    "a" * 201,
    "a" * 10_000,
    "a" * 9_999 + "b",
    " ",
    "\n",
    "~",
    "-",
]


def test_a_blob_lies_under_its_digest() -> None:
    key = names.blob_key("sha256", _HEX)
    assert key == f"blobs/sha256/01/{_HEX}"
    assert names.digest_of(key) == ("sha256", _HEX)


@pytest.mark.parametrize(
    ("algorithm", "hex_digits"),
    [
        ("sha256", _HEX[:-1]),
        ("sha256", _HEX.upper()),
        ("sha256", "../" + _HEX[3:]),
        ("sha512", _HEX),
        ("md5", "0" * 32),
        ("sha256", _HEX + "\n"),
    ],
    ids=["short", "capitals", "out", "other size", "weak", "line end"],
)
def test_what_is_no_digest_is_no_blob(algorithm: str, hex_digits: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        names.blob_key(algorithm, hex_digits)


@pytest.mark.parametrize(
    "key",
    [f"blobs/sha256/02/{_HEX}", f"refs/sha256/01/{_HEX}", "blobs/sha256/01/01", "leases/x"],
    ids=["folder", "ref", "short", "lease"],
)
def test_other_keys_have_no_digest(key: str) -> None:
    assert names.digest_of(key) is None


def test_no_two_names_share_a_key_and_none_leads_out() -> None:
    for make in (lambda name: names.ref_key("npm", name), names.lease_key):
        keys = {make(name) for name in _ODD}
        assert len({key.lower() for key in keys}) == len(_ODD)
        for key in keys:
            assert re.fullmatch(r"(refs/npm|leases)/[a-z0-9_=~-][a-z0-9._=~-]{0,199}", key)
            assert key.isascii()


def test_plain_names_stay_readable() -> None:
    assert names.ref_key("npm", "left-pad") == "refs/npm/left-pad"
    assert names.ref_key("pins/npm", "@babel/core") == "refs/pins/npm/=40babel=2fcore"


@pytest.mark.parametrize("kind", ["", "..", "a/../b", "A", "a b", ".git"])
def test_a_kind_is_ours_and_checked(kind: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        names.ref_key(kind, "x")


def test_random_bytes_never_make_a_key_that_leads_out() -> None:
    chance = random.Random(9)  # noqa: S311 - not for secrets
    alphabet = [".", "/", "\\", "..", "\0", "%", "2", "e", "A", "=", "~", "\u2215"]
    for _ in range(3000):
        text = "".join(chance.choices(alphabet, k=chance.randrange(12)))
        assert names.checked(names.ref_key("x", text)).count("/") == 2
        try:
            key = names.checked(text)
        except ValueError:
            continue
        assert not any(part in ("", ".", "..") for part in key.split("/"))


def test_keys_are_bounded() -> None:
    with pytest.raises(ValueError, match="too long"):
        names.checked("/".join(itertools.repeat("a" * 100, 6)))
    with pytest.raises(ValueError, match="not a key"):
        names.checked("a" * 201)


def test_prefixes_end_where_a_segment_does() -> None:
    assert names.checked_prefix("") == ""
    assert names.checked_prefix("refs/npm/") == "refs/npm/"
    for bad in ("refs", "/", "refs//"):
        with pytest.raises(ValueError, match=r"prefix|key"):
            names.checked_prefix(bad)
