"""SOCKS5 proxies (RFC 1928; user and password: RFC 1929), by python-socks.

``socks5`` looks the target's name up here, ``socks5h`` leaves that to the proxy, as curl
has it.
"""

import socket

from pyodide_offline.network import sockets
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.proxies import Upstream

_REFUSED_LOGIN = "authentication failure"
_NO_METHOD = "acceptable authentication"


class SocksRefusedError(Exception):
    """The proxy said no. ``login``: to user and password; ``missing``: it wants them."""

    def __init__(self, reason: str, *, login: bool = False, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.login = login
        self.missing = missing


class TargetNameError(OSError):
    """The target's name, which socks5:// looks up here, has no address."""


async def connect(
    upstream: Upstream, host: str, port: int, credentials: Credentials | None, family: int
) -> socket.socket:
    """Return a non-blocking socket that leads to the target.

    Raises OSError where the proxy cannot be reached, TargetNameError, SocksRefusedError.
    """
    from python_socks import ProxyConnectionError, ProxyError, ProxyType
    from python_socks.async_.asyncio import Proxy

    if upstream.scheme == "socks5":
        host = await _address(host, port, family)
    problem: OSError | None = None
    # By address: so the proxy's own name is found as everywhere here, in bounded time.
    for found in await sockets.resolve(upstream.host, upstream.port, family):
        proxy = Proxy(
            ProxyType.SOCKS5,
            str(found[4][0]),
            upstream.port,
            credentials.user if credentials else None,
            credentials.password if credentials else None,
            rdns=True,
        )
        try:
            made = await proxy.connect(host, port, timeout=sockets.FOREVER)
        except ProxyConnectionError as error:
            problem = OSError(error.errno, error.strerror)
        except ProxyError as error:
            text = str(error) or "it closes the connection without an answer"
            missing = _NO_METHOD in text.lower() and credentials is None
            login = _REFUSED_LOGIN in text.lower()
            raise SocksRefusedError(text, login=login, missing=missing) from error
        except (ValueError, OverflowError, AssertionError) as error:
            # A user, a password or a name that is too long for a byte's count, or not ASCII.
            raise SocksRefusedError("the login or the name does not fit into SOCKS5") from error
        else:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
    raise problem or socket.gaierror(socket.EAI_NONAME, "the name has no address")


async def _address(host: str, port: int, family: int) -> str:
    try:
        return str((await sockets.resolve(host, port, family))[0][4][0])
    except socket.gaierror as error:
        raise TargetNameError(str(error)) from error
