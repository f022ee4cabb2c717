"""Whom TLS trusts: the system's store, and the CA files that the user's tools already name.

SSL_CERT_FILE is OpenSSL's (on Linux it stands in for the system's file, as everywhere;
elsewhere it is added), NODE_EXTRA_CA_CERTS is Node's and always added, npm's cafile comes
as an argument. Certificates are always checked: npm's strict-ssl=false is not followed.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


def named_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the CA files that the environment names, in the order of VARIABLES."""
    return [Path(environ[name]) for name in VARIABLES if environ.get(name)]


def context(
    environ: Mapping[str, str], extra: Sequence[Path] = (), *, note: Callable[[str], None]
) -> ssl.SSLContext:
    """Return a client context that checks certificates and names.

    A file that cannot be used is left out with a line to ``note``, as Node does it: a
    stale variable must not stop what the system's store can verify.
    """
    import truststore

    made: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in dict.fromkeys([*named_files(environ), *extra]):
        try:
            made.load_verify_locations(cafile=file)
        except OSError as error:  # ssl.SSLError is one
            reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            note(f"The CA file {file} is left out: {reason}.")
    return made
