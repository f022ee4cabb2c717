"""Certificates of authorities, out of files as people have them. Pure.

PEM (RFC 7468) with whatever stands around it: remarks, private keys, Windows' line ends and
byte order marks; OpenSSL's TRUSTED CERTIFICATE, whose additions are cut off; one DER
certificate alone. Only certificates are taken: a private key beside them stays where it is.
"""

import base64
import binascii
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_BLOCK = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)"
    rb"-----END (?:X509 |TRUSTED )?CERTIFICATE-----"
)
_SEQUENCE = 0x30  # DER's tag (X.690 §8.9)
_LINE = 64  # characters (RFC 7468 §2)


@dataclass(frozen=True)
class Found:
    """The certificates of a file in DER, each once, and how many blocks are none."""

    certificates: tuple[bytes, ...]
    broken: int = 0


def read(data: bytes) -> Found:
    """Take the certificates out of a file's content."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16, as Windows' editors may save it
        data = data.decode("utf-16", "replace").encode()
    if (alone := _sequence(data)) is not None:
        return Found((alone,))
    # npm's ca= and dotenv files write line ends as \n.
    blocks = [_decoded(block.replace(rb"\n", b"\n")) for block in _BLOCK.findall(data)]
    good = dict.fromkeys(block for block in blocks if block is not None)
    return Found(tuple(good), sum(block is None for block in blocks))


def pem(certificates: Iterable[bytes]) -> bytes:
    """Write certificates as PEM and nothing else, each once."""
    return b"".join(_lines(one) for one in dict.fromkeys(certificates))


def unsound(certificate: bytes, now: datetime | None = None) -> str:
    """Return why a certificate is of no use to strict parsers, "" if it is.

    A program that dislikes one may refuse the whole file.
    """
    from cryptography import x509

    with warnings.catch_warnings():  # serial numbers of 0, which old public roots have
        warnings.simplefilter("ignore")
        try:
            read = x509.load_der_x509_certificate(certificate)
            ended = read.not_valid_after_utc < (now or datetime.now(UTC))
            # Parsed only when they are asked for.
            _ = (read.subject, read.issuer, read.public_key(), list(read.extensions))
        except Exception:  # ValueError, UnsupportedAlgorithm, TypeError and others of its own
            return "not by the rules"
    return "expired" if ended else ""


def _decoded(block: bytes) -> bytes | None:
    try:
        return _sequence(base64.b64decode(b"".join(block.split()), validate=True))
    except (binascii.Error, ValueError):
        return None


def _sequence(data: bytes) -> bytes | None:
    """Return the DER sequence that data begins with, None if it is none or cut short."""
    if len(data) < 2 or data[0] != _SEQUENCE:
        return None
    length, start = data[1], 2
    if length & 0x80:  # the long form (X.690 §8.1.3.5)
        start += length & 0x7F
        if not 2 < start <= 6:
            return None
        length = int.from_bytes(data[2:start], "big")
    return data[: start + length] if start + length <= len(data) and length else None


def _lines(certificate: bytes) -> bytes:
    def body() -> Iterator[bytes]:
        text = base64.b64encode(certificate)
        for place in range(0, len(text), _LINE):
            yield text[place : place + _LINE]

    marks = (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----")
    return b"\n".join([marks[0], *body(), marks[1], b""])
