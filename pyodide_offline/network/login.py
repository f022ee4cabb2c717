"""Answers to a proxy's 407 challenges: Negotiate, NTLM, Digest, Basic.

Rules, and where they come from:

- Schemes are tried from the strongest that both sides can do (RFC 7616 §5.2: a client picks
  the strongest it knows), one after the other only as long as nothing was sent that proves
  the password. A proof that was refused is the end: repeating it locks accounts.
- Negotiate and NTLM (RFC 4559) come from pyspnego; Kerberos needs its extra of that name.
- Where user and password come from is in ``credentials``.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from pyodide_offline.network.challenges import Challenge
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.digest_login import Digest, fits

SCHEMES = ("negotiate", "ntlm", "digest", "basic")  # the strongest first


class CannotLogInError(Exception):
    """This scheme does not work from here: no ticket, no library, a broken token."""


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


def choose(
    challenges: Sequence[Challenge],
    credentials: Credentials | None,
    *,
    target: str = "",
    proxy_host: str = "",
    method: str = "CONNECT",
    without: Collection[str] = (),
) -> Stepper | None:
    """Return a stepper for the strongest scheme that both sides can do, or None.

    ``method`` and ``target`` are those of the request line, ``proxy_host`` is whom a ticket
    is for, ``without`` names the schemes that were found not to work.
    """
    if credentials is None:
        return None
    for scheme in SCHEMES:
        if scheme in without or (scheme != "negotiate" and not credentials.known):
            continue
        for challenge in challenges:
            if challenge.scheme == scheme and _possible(challenge, credentials):
                if scheme == "digest":
                    return Digest(credentials.user, credentials.password, target, method)
                return _MAKERS[scheme](credentials, proxy_host)
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


_MAKERS: Mapping[str, Callable[[Credentials, str], Stepper]] = {
    "negotiate": lambda who, host: Tokens("negotiate", who, host),
    "ntlm": lambda who, host: Tokens("ntlm", who, host),
    "basic": lambda who, _: Basic(who),
}
