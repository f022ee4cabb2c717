"""User and password for a proxy: where they are looked for, and who may get them.

In this order, the first that has them:

- the proxy's URL; then USER_VARIABLE and PASSWORD_VARIABLE;
- the proxy's own line in ~/.netrc, whose ``default`` entry is for no proxy;
- the system's keyring (the extra ``keyring``), under ``host:port`` or ``host``;
- the person at the terminal (asked by ``cli.prompt``, after the proxy has asked). What was
  typed is kept in memory, for this process.

A proxy that the user did not name (PAC) gets only what .netrc or keyring hold for exactly
its host, and nobody is asked for it.
"""

import netrc
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pyodide_offline.errors import SettingsError
from pyodide_offline.network.proxies import Upstream

USER_VARIABLE = "PYODIDE_OFFLINE_PROXY_USER"
PASSWORD_VARIABLE = "PYODIDE_OFFLINE_PROXY_PASSWORD"  # noqa: S105


@dataclass(frozen=True)
class Credentials:
    """User and password, and where they were found.

    Without a user they stand for the login of the system: a Kerberos ticket. So does a user
    whose password is not known (``complete``).
    """

    user: str
    password: str = field(repr=False)
    source: str = ""
    complete: bool = True

    @property
    def known(self) -> bool:
        """Say whether there are both."""
        return bool(self.user) and self.complete


class _Person:
    """The person at the terminal: which proxies' logins were missing, and what was typed."""

    def __init__(self) -> None:
        self.missed: dict[str, Upstream] = {}
        self.typed: dict[str, Credentials] = {}


_PERSON = _Person()  # one a process: what a person typed is for every dial


def missed(upstream: Upstream) -> None:
    """Remember that a proxy wanted a login that no place has."""
    if upstream.named:
        _PERSON.missed[str(upstream)] = upstream


def wanted() -> list[Upstream]:
    """Return the proxies that a person may be asked about, and was not yet."""
    return [one for name, one in _PERSON.missed.items() if name not in _PERSON.typed]


def typed(upstream: Upstream, user: str, password: str) -> None:
    """Keep what a person typed for a proxy, for this process."""
    _PERSON.typed[str(upstream)] = Credentials(user, password, "what was typed")


def find(upstream: Upstream, environ: Mapping[str, str]) -> Credentials | None:
    """Return what this proxy may be told, or None. Raises SettingsError for a broken .netrc.

    Without a password anywhere it may be a user alone, or the login of the system, which
    needs a Kerberos ticket.
    """
    user, password = upstream.user, upstream.password
    if user and password is not None:
        return Credentials(user, password, upstream.origin)
    if upstream.named and (known := environ.get(USER_VARIABLE)) and user in (None, "", known):
        return Credentials(known, environ.get(PASSWORD_VARIABLE, ""), USER_VARIABLE)
    if stored := _netrc(upstream, environ, user) or _keyring(upstream.address, upstream.host, user):
        return stored
    if upstream.named and (told := _PERSON.typed.get(str(upstream))):
        return told
    if user:
        secret = environ.get(PASSWORD_VARIABLE) if upstream.named else None
        return Credentials(user, secret or "", upstream.origin, complete=secret is not None)
    return Credentials("", "", "the system's login") if upstream.named else None


def _netrc(upstream: Upstream, environ: Mapping[str, str], user: str | None) -> Credentials | None:
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


@lru_cache(maxsize=16)  # a keyring may ask a person, and is slow
def _keyring(address: str, host: str, user: str | None) -> Credentials | None:
    try:
        import keyring
    except ImportError:
        return None
    for name in (address, host):
        try:
            found = keyring.get_credential(name, user or None)
        except Exception:  # no backend, locked, the person said no; a backend is a plugin
            return None
        if found and found.password and user in (None, "", found.username):
            return Credentials(found.username or user or "", found.password, "the keyring")
    return None
