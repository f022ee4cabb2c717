"""httpx's exceptions in our words: which host, what failed, what to try next."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import NetworkError, SettingsError

if TYPE_CHECKING:
    import httpx


def host_of(url: str) -> str:
    """Return host and port as they may be shown."""
    return urlsplit(url).netloc.rpartition("@")[2] or redact.url(url)


def proxy_for(url: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the variable and the redacted proxy that it names for this URL, if any.

    For messages only; httpx makes the choice itself. Lower case wins, as in curl.
    """
    scheme = urlsplit(url).scheme
    for stem in (f"{scheme}_proxy", "all_proxy"):
        for name in (stem, stem.upper()):
            if value := environ.get(name):
                return name, redact.url(value)
    return None


def explain(error: "httpx.HTTPError", url: str, environ: Mapping[str, str]) -> NetworkError:
    """Return the NetworkError that stands for this exception."""
    import httpx

    host = host_of(url)
    proxy = proxy_for(url, environ)
    way = f"{proxy[0]} names the proxy {proxy[1]}." if proxy else "No proxy variable is set."
    step = (
        f"Check {proxy[0]} and NO_PROXY, or try again later."
        if proxy
        else "If this network needs a proxy, name it: export HTTPS_PROXY=http://host:port"
    )
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, url, environ, way if proxy else "")
        if isinstance(cause, ssl.SSLError):
            return NetworkError(
                f"TLS with {host} failed: {_sentence(cause.reason or str(cause))}",
                why=way,
                next_step=step,
            )
        if isinstance(cause, socket.gaierror):
            who = "The proxy's name or that of " if proxy else "The name "
            return NetworkError(f"{who}{host} is not found.", why=way, next_step=step)
        if isinstance(cause, ConnectionRefusedError):
            return NetworkError(f"{host} refuses the connection.", why=way, next_step=step)
    if isinstance(error, httpx.ConnectTimeout):
        return NetworkError(f"{host} does not answer.", why=way, next_step=step)
    if isinstance(error, httpx.TimeoutException):
        return NetworkError(f"{host} stopped sending.", why=way, next_step="Try again.")
    if isinstance(error, httpx.ProxyError):
        return NetworkError(
            f"The proxy does not let {host} through: {_sentence(str(error))}",
            why=way,
            next_step=step,
        )
    if isinstance(error, httpx.ConnectError):
        return NetworkError(
            f"{host} cannot be reached: {_sentence(str(error))}", why=way, next_step=step
        )
    return NetworkError(
        f"The connection to {host} broke: {_sentence(str(error) or type(error).__name__)}",
        why=way,
        next_step="Try again.",
    )


def _untrusted(
    error: ssl.SSLCertVerificationError, url: str, environ: Mapping[str, str], way: str
) -> NetworkError:
    """Return the error that names the issuer, which is looked at by the same proxies."""
    from pyodide_offline.network import proxies, witness

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        upstreams = proxies.for_target(environ, parts.scheme, host, port)
    except SettingsError:
        upstreams = []
    return witness.explain(error, host_of(url), host, port, upstreams, environ=environ, way=way)


def worth_another_try(error: "httpx.HTTPError") -> bool:
    """Say whether the same request may go well a moment later.

    Certificates, protocols and unknown names do not change; RFC 9110 §9.2.2 lets a GET
    be repeated.
    """
    import httpx

    if isinstance(error, httpx.UnsupportedProtocol | httpx.TooManyRedirects):
        return False
    if isinstance(error, httpx.ProxyError):
        return str(error).startswith(("502", "503", "504"))
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return False
        if isinstance(cause, socket.gaierror):
            return cause.errno == socket.EAI_AGAIN
    return isinstance(error, httpx.TransportError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _sentence(text: str) -> str:
    return redact.text(" ".join(text.split())).rstrip(".") + "."
