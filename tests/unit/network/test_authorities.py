"""Certificates out of files as people have them."""

import base64
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trustme

from pyodide_offline.network import authorities

CA, OTHER = trustme.CA(), trustme.CA()
PEM, KEY = CA.cert_pem.bytes(), CA.private_key_pem.bytes()
DER, SECOND = (ssl.PEM_cert_to_DER_cert(one.cert_pem.bytes().decode()) for one in (CA, OTHER))


@pytest.mark.parametrize(
    "dressed",
    [
        lambda pem: pem,
        lambda pem: b"Subject: me\n  a remark, \xe9 and a \x00\n" + pem + b"\nthe end",
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem.replace(b"\n", b"\r"),
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: pem.decode().encode("utf-16"),
        lambda pem: KEY + pem + KEY,
        lambda pem: pem + pem,
        lambda pem: pem.replace(b"\n", rb"\n"),
        lambda pem: pem.replace(b"BEGIN CERT", b"BEGIN X509 CERT").replace(b"END C", b"END X509 C"),
        lambda pem: pem.rstrip() + b" ",
        lambda pem: b"\n".join(b"  " + line for line in pem.splitlines()),
        lambda _: DER,
        lambda _: DER + b"\n",
    ],
)
def test_the_certificate_is_found_whatever_stands_around_it(
    dressed: Callable[[bytes], bytes],
) -> None:
    assert authorities.read(dressed(PEM)) == authorities.Found((DER,))


def test_the_additions_of_a_trusted_certificate_are_cut_off() -> None:
    text = base64.b64encode(DER + b"0\x0a0\x08\x06\x06additi")
    wrapped = b"-----BEGIN TRUSTED CERTIFICATE-----\n%s\n-----END TRUSTED CERTIFICATE-----" % text
    assert authorities.read(wrapped).certificates == (DER,)


def test_a_broken_block_costs_only_itself() -> None:
    cut = PEM[: len(PEM) // 2]
    garbled = PEM.replace(b"\nMII", b"\n!!!")
    shortened = PEM.replace(PEM.splitlines()[5] + b"\n", b"")
    found = authorities.read(cut + garbled + shortened + OTHER.cert_pem.bytes())
    assert found.certificates == (SECOND,)
    assert found.broken == 2


@pytest.mark.parametrize(
    "data", [b"", b"0", b"0\x80", b"0\x82\xff\xff", KEY, b"<html>", b"\xff\xfe"]
)
def test_where_there_is_none_nothing_is_found(data: bytes) -> None:
    assert authorities.read(data) == authorities.Found(())


def test_what_is_written_is_pem_and_nothing_else_and_each_once() -> None:
    text = authorities.pem([DER, SECOND, DER])
    assert authorities.read(text).certificates == (DER, SECOND)
    assert text.count(b"BEGIN") == 2
    assert max(len(line) for line in text.splitlines()) == 64
    assert text.endswith(b"-----END CERTIFICATE-----\n")


def test_what_a_strict_parser_would_not_take_is_told() -> None:
    assert authorities.unsound(DER) == ""
    assert authorities.unsound(DER, datetime.max.replace(tzinfo=UTC)) == "expired"
    assert authorities.unsound(DER[:4] + bytes(len(DER) - 4)) == "not by the rules"
