"""What a server of ours shows: a certificate and the key to it, tried before anything listens."""

import ssl
from pathlib import Path

from pyodide_offline.errors import SettingsError


def check(certificate: Path, key: Path) -> None:
    """Raise SettingsError unless the two can be used together. Nobody is asked for a passphrase."""
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path} of {option} cannot be read: {error.strerror}.") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        why = "They must be PEM: the certificate first in its file, a key without a passphrase."
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            why = "The key is that of another certificate."
        raise SettingsError(
            f"{certificate} and {key} cannot be used as a certificate and its key.",
            why=why,
            next_step="Name both anew: --tls-cert FILE --tls-key FILE",
        ) from error
