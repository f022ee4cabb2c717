"""What went wrong on an open connection to a server, in words. Pure but for its imports.

That there is none (name, connection, proxy) the dialer says itself, see ``refusals``; here
are TLS with the server, silence, broken answers, as httpcore and httpx raise them.
"""

import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import NetworkError
from pyodide_offline.network.handshake import Refused
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.refusals import PASSING, refused

_TLS_STEP = "Try again; if it stays, something on the way does not pass TLS on."


def host_of(url: str) -> str:
    """Return host and port as they may be shown."""
    return urlsplit(url).netloc.rpartition("@")[2] or redact.url(url)


def explain(
    error: Exception,
    url: str,
    upstream: Upstream | None = None,
    *,
    environ: Mapping[str, str],
) -> NetworkError:
    """Return the NetworkError that stands for an exception of httpcore or httpx.

    One of ours that is behind it comes back as it is. ``upstream`` is the proxy in between,
    ``environ`` holds its login: a certificate that is not trusted is looked at once more.
    """
    import httpcore
    import httpx

    from pyodide_offline.network.backend import EarlyBytesError

    if isinstance(error, httpcore.UnsupportedProtocol | httpx.InvalidURL):
        return NetworkError(f"{redact.url(url)} is not a usable address.", kind="garbage")
    host = host_of(url)
    way = f"It was asked through {upstream}, which {upstream.origin} names." if upstream else ""
    for cause in _causes(error):
        if isinstance(cause, NetworkError):
            return cause
        if isinstance(cause, EarlyBytesError) and upstream:
            parts = urlsplit(url)
            early = Refused(200, problem="What it lets in is not TLS as the host speaks it.")
            return refused(parts.hostname or "", parts.port or 443, upstream, early)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, url, upstream, environ, way)
        if isinstance(cause, ssl.SSLError):
            reason = _sentence(getattr(cause, "reason", "") or str(cause))
            if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                reason = "the connection ends in the middle of it."
            return NetworkError(
                f"TLS with {host} failed: {reason}", why=way, next_step=_TLS_STEP, kind="tls"
            )
    if isinstance(error, httpcore.ConnectTimeout):
        return NetworkError(
            f"{host} takes the connection, but never answers.",
            why=way,
            next_step=_TLS_STEP,
            kind="mute",
        )
    if isinstance(error, httpcore.TimeoutException):
        return NetworkError(
            f"{host} stopped sending.", why=way, next_step="Try again.", kind="mute"
        )
    if isinstance(error, httpx.DecodingError):
        return NetworkError(
            f"{host} sends what is not in the encoding that it names.", why=way, kind="garbage"
        )
    return NetworkError(
        f"The connection to {host} broke: {_sentence(str(error) or type(error).__name__)}",
        why=way,
        next_step="Try again.",
        kind="broken",
    )


def _untrusted(
    error: ssl.SSLCertVerificationError,
    url: str,
    upstream: Upstream | None,
    environ: Mapping[str, str],
    way: str,
) -> NetworkError:
    """Return the error that names the issuer, which is looked at by the same proxy."""
    from pyodide_offline.network import witness

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    upstreams = [upstream] if upstream else []
    return witness.explain(error, host_of(url), host, port, upstreams, environ=environ, way=way)


def worth_another_try(error: NetworkError) -> bool:
    """Say whether the same request may go well a moment later.

    Certificates, passwords and unknown names do not change; RFC 9110 §9.2.2 lets a GET be
    repeated.
    """
    return error.kind in PASSING


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _sentence(text: str) -> str:
    return redact.text(" ".join(text.split())).rstrip(".") + "."
