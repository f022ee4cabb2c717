"""One request to one place, once, to see how far it gets: for `doctor`.

Unlike ``fetch`` nothing is repeated, nothing is followed, and every error says in its facts
at which stage it came (``stage``: a kind of ``refusals``, and ``untrusted``, ``tls``, ``http``).
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import connect
from pyodide_offline.network.proxies import Upstream, authority

SECONDS = 3.0  # for the way to it, and for its answer
MOST = 65536  # bytes of an answer that are read


@dataclass(frozen=True)
class Answer:
    """What came. ``headers`` in lower case, ``body`` its beginning, ``ms`` for all of it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    ms: float

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def ask(
    url: str,
    upstreams: Sequence[Upstream],
    *,
    environ: Mapping[str, str],
    trust: ssl.SSLContext,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    address: str = "",
    seconds: float = SECONDS,
) -> Answer:
    """Return the answer of an http or https URL. Raises NetworkError with facts.

    ``address`` is connected to in place of the host, which TLS is still checked against.
    """
    import httpcore

    from pyodide_offline.network.backend import Dialing

    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    began = time.monotonic()
    backend = Dialing(upstreams, environ=environ, address=address, trust=trust)
    asked = {"Host": parts.netloc, "User-Agent": connect.AGENT, **(headers or {})}
    body = bytearray()
    limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend, ssl_context=trust) as pool,
            pool.stream(
                method, url, headers=list(asked.items()), extensions={"timeout": limits}
            ) as response,
        ):
            for chunk in response.iter_stream():
                body += chunk
                if len(body) >= MOST:
                    break
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        place = upstreams[0] if upstreams else None
        raise _failed(host, port, place, error) from error
    said = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }
    ms = (time.monotonic() - began) * 1000
    return Answer(response.status, said, bytes(body[:MOST]), ms)


def _failed(host: str, port: int, upstream: Upstream | None, error: Exception) -> NetworkError:
    place = authority(host, port)
    facts: dict[str, object] = {"proxy": str(upstream) if upstream else "", "host": host}
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message or str(cause)
        return NetworkError(
            f"The certificate of {place} is not trusted: {reason.rstrip('.')}.",
            facts={**facts, "stage": "untrusted", "reason": reason, "code": cause.verify_code},
        )
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or str(cause)
        return NetworkError(
            f"TLS with {place} failed: {reason.rstrip('.')}.",
            facts={**facts, "stage": "tls", "reason": reason},
        )
    if isinstance(cause, TimeoutError):
        return NetworkError(
            f"{place} takes the connection, but never answers.", facts={**facts, "stage": "mute"}
        )
    if isinstance(cause, OSError):
        return NetworkError(
            f"{place} breaks the connection.",
            facts={**facts, "stage": "broken", "reason": cause.strerror or str(cause)},
        )
    return NetworkError(
        f"What {place} answers is not HTTP, or it ends too early.",
        facts={**facts, "stage": "http", "reason": str(error)},
    )
