"""Certificate authorities of their own for one test."""

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

_YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class Authority:
    """One that is its own server, made with the openssl program.

    ``ca`` is the file to be trusted; ``server()`` a context for 127.0.0.1 and ``names``.

    Servers that are programs of their own get ``ca`` and ``key`` as files.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True)
        self.ca = folder / "ca.pem"
        self.key = folder / "key.pem"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        request = ["req", "-x509", "-days", "2", *key]
        alternatives = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in names)])
        subject = ["-subj", "/CN=Test Inspection CA", "-addext", f"subjectAltName={alternatives}"]
        files = ["-keyout", str(self.key), "-out", str(self.ca)]
        subprocess.run(["openssl", *request, *subject, *files], check=True, capture_output=True)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.key)
        return context


class Issuer:
    """One above a server's certificate, as companies have them.

    Strict verifiers (uv's, the newer workerd's) take no server that shows an authority's own.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True)
        self.ca = folder / "ca.pem"
        self._authority = trustme.CA(organization_name="Test Company")
        self._authority.cert_pem.write_to_path(str(self.ca))
        self._names = names

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return a context for the names that are given, else for all of this issuer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made = self._authority.issue_cert(
            *(names or ("127.0.0.1", *self._names)), not_after=_YESTERDAY if expired else None
        )
        made.configure_cert(context)
        return context
