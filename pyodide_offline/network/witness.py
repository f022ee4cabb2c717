"""What certificates a server shows: a handshake that believes nothing and sends nothing else.

Only for telling whose they are, once a connection that does check them has refused them.
Nothing is asked and nothing is read over it; it is closed after TLS's own messages.
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pyodide_offline.errors import NetworkError, PyodideOfflineError
from pyodide_offline.network import chain

if TYPE_CHECKING:
    import socket

    from pyodide_offline.network.proxies import Upstream

PATIENCE = 5.0  # seconds for all of it
_CHUNK = 16384
_DER = 2  # _ssl.ENCODING_DER


def look(
    host: str,
    port: int,
    upstreams: "Sequence[Upstream]" = (),
    *,
    environ: Mapping[str, str],
    patience: float = PATIENCE,
    address: str = "",
) -> tuple[chain.Certificate, ...]:
    """Return the certificates that are shown, the server's own first; () if none were.

    ``address`` is connected to in place of the host. By the proxies that are named, as
    ``connect.dial_sync`` does it; not for a thread that runs a loop.
    """
    from pyodide_offline.network import connect

    end = time.monotonic() + patience
    with suppress(OSError, PyodideOfflineError):
        dialed = connect.dial_sync(
            address or host, port, upstreams, environ=environ, timeout=patience
        )
        if dialed.socket is not None:
            with dialed.socket:
                return chain.read(shown(dialed.socket, host, early=dialed.early, end=end))
    return ()


def explain(
    error: ssl.SSLCertVerificationError,
    place: str,
    host: str,
    port: int,
    upstreams: "Sequence[Upstream]" = (),
    *,
    environ: Mapping[str, str],
    way: str = "",
) -> NetworkError:
    """Return the error for certificates that were refused, after a look at them."""
    return chain.untrusted(
        place,
        look(host, port, upstreams, environ=environ),
        code=getattr(error, "verify_code", None),
        reason=getattr(error, "verify_message", "") or str(error),
        way=way,
    )


def shown(connected: "socket.socket", host: str, *, early: bytes = b"", end: float) -> list[bytes]:
    """Do the handshake, until ``end`` (time.monotonic); return what is shown, in DER.

    Over buffers, since the connection may itself be one of TLS to a proxy. Raises OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(early)
    secure = context.wrap_bio(incoming, outgoing, server_hostname=host)
    while True:
        wanting = False
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            wanting = True
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connected.settimeout(left)
        if not wanting:
            return _chain(secure)
        if data := outgoing.read():
            connected.sendall(data)
        if received := connected.recv(_CHUNK):
            incoming.write(received)
        else:
            incoming.write_eof()


def _chain(secure: ssl.SSLObject) -> list[bytes]:
    """Return the whole chain; Python has it by a public name only since 3.13."""
    for owner in (secure, getattr(secure, "_sslobj", None)):
        if (get := getattr(owner, "get_unverified_chain", None)) is not None:
            found = get() or []
            return [one if isinstance(one, bytes) else one.public_bytes(_DER) for one in found]
    own = secure.getpeercert(binary_form=True)
    return [own] if own else []
