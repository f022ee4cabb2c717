"""An authority for one store: under its certificates the kit answers for any host.

Only the programs that `kit run` starts are told of it, and it is in no kit. Its key lies in
the store, readable by its owner; a host's certificate lives in memory, and for one run.
"""

import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline import disk

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

FILE = Path("trust", "kit", "authority.pem")
# A certificate whose two names are one would be taken for its own authority's.
_NAME, _HOST_NAME = "pyodide-offline kit on this machine", "a host that the kit answers for"
_DAY = timedelta(days=1)
_YEARS = 3650 * _DAY
# More than 825 would be refused by macOS.
_HOST = 90 * _DAY


class Authority:
    """Certificates for the hosts that clients ask for. Raises StorageError when made.

    ``file`` is what these clients must trust; the key beside it is for this class only.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        if not self._usable():
            disk.write_whole(self.file, _made(), 0o600)

    def context(self, host: str) -> ssl.SSLContext:
        """Return the TLS side of a host, by a certificate that is made when it is wanted."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._context(host)
            return self._contexts[host]

    def _usable(self) -> bool:
        try:
            certificate, _ = _read(self.file)
        except (OSError, ValueError, AssertionError):
            return False
        now = datetime.now(UTC)
        return certificate.not_valid_before_utc < now < certificate.not_valid_after_utc - _HOST

    def _context(self, host: str) -> ssl.SSLContext:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        authority, secret = _read(self.file)
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        certificate = (
            _builder(_HOST_NAME, _HOST)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(secret.public_key()),
                critical=False,
            )
            .sign(secret, _sha256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(dir=self.file.parent) as folder:
            pair = Path(folder) / "pair.pem"
            pair.write_bytes(_pem(certificate, key))
            context.load_cert_chain(pair)
        return context


def _made() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_NAME, _YEARS)
    certificate = (
        builder.issuer_name(_named(_NAME))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _sha256())
    )
    return _pem(certificate, key)


def _builder(name: str, lasting: timedelta) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + lasting)
    )


def _named(name: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])


def _usage() -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _sha256() -> "hashes.SHA256":
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _pem(certificate: "x509.Certificate", key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + secret


def _read(file: Path) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = file.read_bytes()
    key = load_pem_private_key(data, None)
    assert isinstance(key, EllipticCurvePrivateKey)  # noqa: S101 - made here
    return x509.load_pem_x509_certificate(data), key
