"""Certificates as people read them, and the error for each thing that can be wrong."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pyodide_offline.network import chain

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def der(pem: trustme.Blob) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.bytes().decode())


def made(
    issuer: str = "Corp Root",
    subject: str = "example.com",
    *,
    starts: datetime = NOW - timedelta(days=1),
    ends: datetime = NOW + timedelta(days=1),
    hosts: tuple[str, ...] = ("example.com",),
) -> chain.Certificate:
    return chain.Certificate(subject, issuer, hosts, starts, ends, "00", issuer == subject)


def said(certificate: chain.Certificate, code: int | None, *above: chain.Certificate) -> str:
    error = chain.untrusted(
        "example.com", [certificate, *above], code=code, reason="no", way="By a proxy.", now=NOW
    )
    assert len(error.lines()) == 3
    assert error.why.endswith("By a proxy.")
    return "\n".join(error.lines())


def test_a_certificate_is_read_with_its_issuer_its_names_and_its_times() -> None:
    authority = trustme.CA(organization_name="Zscaler Inc.", organization_unit_name="Root")
    issued = authority.issue_cert("example.com", "127.0.0.1")
    found, above = chain.read([der(issued.cert_chain_pems[0]), der(authority.cert_pem)])
    assert "Zscaler Inc." in found.issuer
    assert found.hosts == ("example.com", "127.0.0.1")
    assert found.starts < datetime.now(UTC) < found.ends
    assert (found.self_signed, above.self_signed) == (False, True)
    assert len(found.sha256) == 64
    assert chain.product([found, above]) == "Zscaler"


def test_what_is_no_certificate_is_left_out() -> None:
    assert chain.read([b"", b"0\x03\x02\x01\x01"]) == ()


def test_a_name_cannot_speak_to_the_terminal_and_has_an_end() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    evil = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, 'a\x1b]0;owned\x07 "b"\n'),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "é" * 64),
        ]
    )
    odd = (
        x509.CertificateBuilder()
        .subject_name(evil)
        .issuer_name(evil)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW)
        .sign(key, hashes.SHA256())
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    found = chain.parse(odd.public_bytes(Encoding.DER))
    assert found.issuer == "a ]0;owned 'b', " + "é" * 64
    assert found.hosts == ()


@pytest.mark.parametrize(
    ("issuer", "product"),
    [
        ("Zscaler Intermediate Root CA (zscalerthree.net) (t) , Zscaler Inc.", "Zscaler"),
        ("ca.corp.goskope.com, Netskope Inc", "Netskope"),
        ("FG100FTK19000000, Fortinet", "Fortinet"),
        ("Cisco Umbrella Secondary SubCA lon-SG, Cisco", "Cisco Umbrella"),
        ("Sophos SSL CA_C01001", "Sophos"),
        ("Gateway CA - Cloudflare Managed G1 abc, Cloudflare, Inc.", "Cloudflare Gateway"),
        ("Kaspersky Anti-Virus Personal Root Certificate", "Kaspersky"),
        ("ESET SSL Filter CA", "ESET"),
        ("mitmproxy", "mitmproxy"),
        ("DO_NOT_TRUST_FiddlerRoot", "Fiddler"),
        ("DigiCert Global G2 TLS RSA SHA256 2020 CA1, DigiCert Inc", None),
        ("WE1, Google Trust Services", None),
        ("Reset Corp CA", None),
        ("Corp Root CA", None),
    ],
)
def test_products_are_known_by_what_the_issuer_calls_itself(
    issuer: str, product: str | None
) -> None:
    assert chain.product([made(issuer)]) == product


def test_a_product_is_not_taken_from_the_name_of_the_server() -> None:
    assert chain.product([made("Corp Root", "www.sophos.com")]) is None


def test_an_unknown_issuer_is_named_with_the_way_to_trust_it() -> None:
    text = said(made("Corp SubCA"), 20, made("Corp Root", "Corp SubCA"))
    assert 'its issuer, "Corp SubCA" (under "Corp Root"), is not known here' in text
    assert "--ca FILE" in text
    assert "PYODIDE_OFFLINE_CA=FILE" in text
    assert "inspects TLS on this network" not in text


def test_an_inspecting_product_is_named() -> None:
    text = said(made("mitmproxy"), 20)
    assert "mitmproxy inspects TLS on this network." in text
    assert "mitmproxy-ca-cert.pem" in text


def test_the_other_faults_are_told_apart_and_no_ca_file_is_asked_for() -> None:
    old = said(made(ends=datetime(2024, 2, 3, tzinfo=UTC)), 10)
    assert "has expired: it ended on 2024-02-03." in old
    above = said(made(), 10, made("Root", "Corp SubCA", ends=datetime(2024, 2, 3, tzinfo=UTC)))
    assert 'has expired: "Corp SubCA" above it ended on 2024-02-03.' in above
    early = said(made(starts=datetime(2027, 1, 2, tzinfo=UTC)), 9)
    assert "is not valid yet: it begins on 2027-01-02 00:00 UTC." in early
    assert "clock says 2026-11-25 12:00 UTC" in early
    other = said(made(hosts=("a", "b", "c", "d", "e", "f")), 62)
    assert "is for another name: a, b, c, d and 2 more." in other
    assert "for another name: none at all." in said(made(hosts=()), 64)
    assert not any("--ca" in text for text in (old, above, early, other))
    assert 'is not trusted: "box" has signed itself.' in said(made("box", "box"), 18)
    assert "is not trusted: no." in said(made(), 68)


def test_without_a_number_the_chain_itself_tells() -> None:
    """As on macOS and Windows, where the system's verifier has other words."""
    past, future = NOW - timedelta(days=2), NOW + timedelta(days=2)
    assert chain.fault(None, [made(ends=past)], NOW) == "expired"
    assert chain.fault(None, [made(starts=future)], NOW) == "early"
    assert chain.fault(None, [made("x", "x")], NOW) == "self-signed"
    assert chain.fault(None, [made("x", "x"), made()], NOW) == "unknown"
    assert chain.fault(None, [], NOW) == "other"


def test_with_nothing_seen_the_verifiers_words_stay() -> None:
    error = chain.untrusted("example.com", [], code=20, reason="unable to get\nissuer.")
    assert error.what == "The certificate of example.com is not trusted: unable to get issuer."
    assert "vouches" in error.why
