"""Who asks an OCI registry: a login from the environment or Docker's file, and its tokens.

PYODIDE_OFFLINE_STORE_LOGIN is ``user:password``; else the entry of the host in
~/.docker/config.json (or DOCKER_CONFIG's folder) that `docker login` made. A helper program
that such a file may name is not started.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline.errors import SettingsError

if TYPE_CHECKING:
    import httpx

VARIABLE = "PYODIDE_OFFLINE_STORE_LOGIN"
_LIFE_S = 60.0  # of a token that does not say how long it is good
_PAIR = re.compile(r'([a-z_]+)="([^"]*)"')


class Passport:
    """The headers that a registry wants, found out from its own words."""

    def __init__(self, host: str, environ: Mapping[str, str]) -> None:
        self._basic = _login(host, environ)
        self._token = ""
        self._until = 0.0

    def headers(self) -> dict[str, str]:
        """Return what to send with a request."""
        if self._token and time.monotonic() < self._until:
            return {"Authorization": f"Bearer {self._token}"}
        return {"Authorization": f"Basic {self._basic}"} if self._basic else {}

    async def renew(self, client: "httpx.AsyncClient", answer: "httpx.Response") -> bool:
        """Get a token as a 401 says; False where that is not possible."""
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        told = dict(_PAIR.findall(rest))
        realm = told.pop("realm", "")
        if scheme.lower() != "bearer" or not _may_ask(realm, answer.request.url.scheme):
            return False
        wanted = {name: told[name] for name in ("service", "scope") if name in told}
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        given = await client.get(realm, params=wanted, headers=headers)
        try:
            record = given.json() if given.status_code == 200 else {}
            token = record.get("token") or record.get("access_token") or ""
            life = float(record.get("expires_in") or _LIFE_S)
        except (ValueError, TypeError, AttributeError):
            return False
        self._token = token if isinstance(token, str) else ""
        self._until = time.monotonic() + life * 0.8
        return bool(self._token)


def _may_ask(realm: str, scheme: str) -> bool:
    """Say whether a login may go there: never from https to http."""
    return realm.startswith("https://") or (scheme == "http" and realm.startswith("http://"))


def _login(host: str, environ: Mapping[str, str]) -> str:
    if given := environ.get(VARIABLE):
        if ":" not in given:
            raise SettingsError(f"{VARIABLE} is not user:password.")
        return base64.b64encode(given.encode()).decode()
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "/nonexistent")
    path = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        login = record.get("auths", {}).get(host, {}).get("auth", "")
        base64.b64decode(login, validate=True)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError, TypeError, binascii.Error) as error:
        raise SettingsError(f"The file {path} cannot be read as Docker's settings.") from error
    return str(login)
