"""A certificate authority of its own for one test, made with the openssl program."""

import ssl
import subprocess
from pathlib import Path


class Authority:
    """``ca`` is the file to be trusted; ``server()`` a context for 127.0.0.1 and ``names``.

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
