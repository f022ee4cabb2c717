"""Answers to a proxy's 407 challenges: Negotiate, NTLM, Digest, Basic.

Rules, and where they come from:

- Schemes are tried from the strongest that both sides can do (RFC 7616 §5.2: a client picks
  the strongest it knows), one after the other only as long as nothing was sent that proves
  the password. A proof that was refused is the end: repeating it locks accounts.
- Negotiate and NTLM (RFC 4559) come from pyspnego; Kerberos needs its extra of that name.
- User and password come from the proxy's URL, then from USER_VARIABLE and
  PASSWORD_VARIABLE, then from the proxy's own line in ~/.netrc. A proxy that the user did
  not name gets only what that file holds for it; its ``default`` entry is for no proxy.
"""

import base64
import binascii
import netrc
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pyodide_offline.errors import SettingsError
from pyodide_offline.network.challenges import Challenge
from pyodide_offline.network.digest_login import Digest, fits
from pyodide_offline.network.proxies import Upstream

USER_VARIABLE = "PYODIDE_OFFLINE_PROXY_USER"
PASSWORD_VARIABLE = "PYODIDE_OFFLINE_PROXY_PASSWORD"  # noqa: S105
SCHEMES = ("negotiate", "ntlm", "digest", "basic")  # the strongest first


class CannotLogInError(Exception):
    """This scheme does not work from here: no ticket, no library, a broken token."""


@dataclass(frozen=True)
class Credentials:
    """User and password, and where they were found.

    Without a user they stand for the login of the system: a Kerberos ticket.
    """

    user: str
    password: str = field(repr=False)
    source: str = ""


class Stepper(Protocol):
    """One login in progress.

    ``same_connection``: the steps must not change connections. ``proved``: something was
    sent that a right password is needed for.
    """

    scheme: str
    same_connection: bool
    proved: bool

    def step(self, challenge: Challenge) -> str | None:
        """Return the next Proxy-Authorization value; None: all was said already.

        Raises CannotLogInError.
        """


def find(upstream: Upstream, environ: Mapping[str, str]) -> Credentials | None:
    """Return what this proxy may be told, or None. Raises SettingsError for a broken .netrc."""
    user, password = upstream.user, upstream.password
    if user and password is not None:
        return Credentials(user, password, upstream.origin)
    if upstream.named and (known := environ.get(USER_VARIABLE)) and user in (None, "", known):
        return Credentials(known, environ.get(PASSWORD_VARIABLE, ""), USER_VARIABLE)
    if stored := _stored(upstream, environ, user):
        return stored
    if user:
        secret = environ.get(PASSWORD_VARIABLE, "") if upstream.named else ""
        return Credentials(user, secret, upstream.origin)
    return Credentials("", "", "the system's login") if upstream.named else None


def choose(
    challenges: Sequence[Challenge],
    credentials: Credentials | None,
    *,
    target: str = "",
    proxy_host: str = "",
    without: Collection[str] = (),
) -> Stepper | None:
    """Return a stepper for the strongest scheme that both sides can do, or None.

    ``target`` is what the request line names, ``proxy_host`` whom a ticket is for,
    ``without`` the schemes that were found not to work.
    """
    if credentials is None:
        return None
    for scheme in SCHEMES:
        if scheme in without or (scheme != "negotiate" and not credentials.user):
            continue
        for challenge in challenges:
            if challenge.scheme == scheme and _possible(challenge, credentials):
                return _MAKERS[scheme](credentials, target, proxy_host)
    return None


class Basic:
    """RFC 7617; UTF-8, as its section 2.1 recommends."""

    scheme = "basic"
    same_connection = False

    def __init__(self, credentials: Credentials) -> None:
        self._pair = f"{credentials.user}:{credentials.password}"
        self.proved = False

    def step(self, challenge: Challenge) -> str | None:  # noqa: ARG002 - it has nothing to say
        """Return the value, once."""
        if self.proved:
            return None
        self.proved = True
        return "Basic " + base64.b64encode(self._pair.encode()).decode()


class Tokens:
    """Negotiate and NTLM (RFC 4559 §4, §5): tokens back and forth."""

    same_connection = True

    def __init__(self, scheme: str, credentials: Credentials, proxy_host: str) -> None:
        self.scheme = scheme
        self.proved = False
        self._credentials = credentials
        self._host = proxy_host
        self._context: _Context | None = None

    def step(self, challenge: Challenge) -> str | None:
        """Return the next token, or None when the proxy has nothing to answer to."""
        try:
            token = base64.b64decode(challenge.token, validate=True) or None
        except binascii.Error as error:
            raise CannotLogInError("its token is not Base64") from error
        if self._context is None:
            self._context = _context(self.scheme, self._credentials, self._host)
        elif token is None or self._context.complete:
            return None
        answer = _stepped(self._context, token)
        if not answer:
            return None
        # An answer to the proxy's token holds the proof; the first token does not.
        self.proved = self.proved or token is not None
        name = "NTLM" if self.scheme == "ntlm" else "Negotiate"
        return f"{name} {base64.b64encode(answer).decode()}"


class _Context(Protocol):
    @property
    def complete(self) -> bool: ...

    def step(self, in_token: bytes | None = None) -> bytes | None: ...


def _context(scheme: str, credentials: Credentials, host: str) -> _Context:
    import spnego
    import spnego.exceptions

    try:
        if not credentials.user:  # only Kerberos can do without; raises where it is missing
            spnego.client(hostname=host, service="HTTP", protocol="kerberos")
        return spnego.client(
            credentials.user or None,
            credentials.password or None,
            hostname=host,
            service="HTTP",
            protocol=scheme,
        )
    except (spnego.exceptions.SpnegoError, ValueError, OSError, ImportError) as error:
        raise CannotLogInError("there is no ticket and no password for it") from error


def _stepped(context: _Context, token: bytes | None) -> bytes | None:
    try:
        return context.step(token)
    except Exception as error:  # pyspnego's parser raises what it stumbles over (struct.error…)
        raise CannotLogInError("its token cannot be answered") from error


def _possible(challenge: Challenge, credentials: Credentials) -> bool:
    if challenge.scheme == "digest":
        return fits(challenge)
    # RFC 7617 §2: a user with a colon cannot be written.
    return challenge.scheme != "basic" or ":" not in credentials.user


def _stored(upstream: Upstream, environ: Mapping[str, str], user: str | None) -> Credentials | None:
    named = environ.get("NETRC")
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not named and not home:
        return None
    file = Path(named) if named else Path(home or "") / ".netrc"
    try:
        hosts = netrc.netrc(file).hosts
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (netrc.NetrcParseError, OSError, UnicodeError) as error:
        where = f", line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        raise SettingsError(
            f"{file} cannot be read{where}.",
            why=f"The login for the proxy {upstream} was looked for in it.",
            next_step=f"Repair it, or set {USER_VARIABLE} and {PASSWORD_VARIABLE}.",
        ) from None  # the parser's words quote the line
    for name in (upstream.address, upstream.host):
        login, _, password = hosts.get(name) or ("", "", "")
        if name != "default" and login and user in (None, "", login):
            return Credentials(login, password, str(file))
    return None


_MAKERS: Mapping[str, Callable[[Credentials, str, str], Stepper]] = {
    "negotiate": lambda who, _, host: Tokens("negotiate", who, host),
    "ntlm": lambda who, _, host: Tokens("ntlm", who, host),
    "digest": lambda who, target, _: Digest(who.user, who.password, target),
    "basic": lambda who, _, __: Basic(who),
}
