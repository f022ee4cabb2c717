"""A mirror that the user has named: what our own downloads and other programs ask it for.

One address stands for three things: npm's registry (``/npm/``), the Python index
(``/simple/``) and workerd's bundles (``/<file>``). npm, pip and uv are told of it by
variables, and of no other index beside it, so that nobody else can answer for a package;
their locks stay as they are, and each checks the digests that its lock has.

A token is never an option: it comes from a variable, or as the address's password. npm gets
it by a global npmrc of ours that names the variable (a variable of npm's own for it has
slashes in its name, and shells drop it); pip and uv in the index's URL, in their environment.
"""

import hashlib
import ipaddress
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pyodide_offline import disk, npmfile
from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.network import borrowed
from pyodide_offline.network.located import Located
from pyodide_offline.store import LAYOUT, Store

OPTION = "--mirror"
VARIABLE = "PYODIDE_OFFLINE_MIRROR"
TOKEN_VARIABLE = "PYODIDE_OFFLINE_MIRROR_TOKEN"  # noqa: S105 - a variable's name
# The user of a URL whose password is a token; mirrors do not look at it.
USER = "me"
_FOLDER = "mirror"
_GLOBAL = "npm_config_globalconfig"
# What would name another registry, or answer for this index.
_OTHERS = {
    "npm_config_registry",
    "pip_config_file",
    "pip_extra_index_url",
    "pip_find_links",
    "pip_index_url",
    "pip_no_index",
    "pip_proxy",
    "uv_default_index",
    "uv_extra_index_url",
    "uv_find_links",
    "uv_index",
    "uv_index_url",
    "uv_no_index",
}


@dataclass(frozen=True)
class Mirror(Located):
    """A mirror's address, with neither login nor a final slash, and the token it wants."""

    url: str
    token: str = field(default="", repr=False)

    @property
    def registry(self) -> str:
        """What npm is given as its registry."""
        return f"{self.url}/npm/"

    @property
    def index(self) -> str:
        """What pip and uv are given as their index, with no login."""
        return f"{self.url}/simple/"

    @property
    def headers(self) -> dict[str, str]:
        """What a request of ours proves itself with."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def bundle(self, official: str) -> str:
        """Return where it has what workerd would get from ``official``: under the same path."""
        return f"{self.url}{urlsplit(official).path}"


def parse(text: str, token: str = "") -> Mirror:
    """Read a mirror's address; a password in it is its token, before ``token``.

    Raises SettingsError; the text is never shown, there may be a token in it.
    """
    try:
        parts = urlsplit(text.strip())
        host, port, secret = parts.hostname, parts.port, unquote(parts.password or "") or token
    except ValueError as error:
        raise _unusable(f"{error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _unusable("It is no http or https address.")
    if parts.query or parts.fragment:
        raise _unusable("An address of a mirror has no ? and no #.")
    if parts.username and not parts.password:
        raise _unusable("There is a user in it, and no password: a token is a password.")
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise _unusable("The token has characters that no header can carry.")
    if secret and parts.scheme == "http" and not _here(host):
        raise _unusable("Over http everybody on the way could read the token.", scheme="https")
    bracketed = f"[{host}]" if ":" in host else host
    place = f"{bracketed}:{port}" if port else bracketed
    return Mirror(urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), secret)


def named(environ: Mapping[str, str]) -> Mirror | None:
    """Return the mirror that an environment names, None without one. Raises SettingsError."""
    text = environ.get(VARIABLE, "").strip()
    return parse(text, environ.get(TOKEN_VARIABLE, "").strip()) if text else None


def environment(
    store: Store, environ: Mapping[str, str], mirror: Mirror, project: Path | None = None
) -> dict[str, str]:
    """Return the environment in which npm, pip, uv and we ask the mirror.

    It is reached directly, whatever proxy is named for the rest. npm asks it for archives
    that its lock has from any registry, unless a scope has a registry of its own. Raises
    StorageError.
    """
    kept = {name: value for name, value in environ.items() if name.lower() not in _OTHERS}
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    direct = ",".join(one for one in (exempt, *_written(mirror.host)) if one)
    made = {
        **kept,
        VARIABLE: mirror.url,
        "npm_config_registry": mirror.registry,
        "npm_config_audit": "false",  # an advisory is not a file: mirrors have none
        "npm_config_update_notifier": "false",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": _with_login(mirror),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_DEFAULT_INDEX": _with_login(mirror),
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
    if mirror.url.startswith("http:") and not _here(mirror.host):
        made["PIP_TRUSTED_HOST"] = mirror.host  # the user said http
    if not _scopes(environ, project or Path.cwd()):
        made.setdefault("npm_config_replace_registry_host", "always")
    if mirror.token:
        made[TOKEN_VARIABLE] = mirror.token
        kept = {name: one for name, one in made.items() if name.lower() != _GLOBAL}
        made = {**kept, _GLOBAL: str(_npmrc(store, environ, mirror))}
    return made


def advice(environ: Mapping[str, str], otherwise: str) -> str:
    """Return what to do next where npm's registry or the index failed: a mirror is looked at."""
    url = environ.get(VARIABLE, "")
    return f"Look at the mirror: pyodide-offline doctor {OPTION} {url}" if url else otherwise


def refused(mirror: Mirror, status: int) -> NetworkError:
    """Return the error for a mirror that does not take our token, or has none to take."""
    why = "It does not take the token that it gets." if mirror.token else "It gets no token."
    return NetworkError(
        f"The mirror {mirror.url} lets nobody in without a token: {status}.",
        why=why,
        next_step=f"Ask who runs it for one (mirror token add), and put it into {TOKEN_VARIABLE}.",
    )


def _npmrc(store: Store, environ: Mapping[str, str], mirror: Mirror) -> Path:
    """Return a global npmrc: what the user's own says, and the mirror's login by variable."""
    line = f"//{urlsplit(mirror.registry).netloc}{urlsplit(mirror.registry).path}:_authToken"
    text = f"{line}=${{{TOKEN_VARIABLE}}}\n"
    own = borrowed.texts([file] if (file := borrowed.npm_global(environ)) else [])
    for one in own:  # ours already, in a run in a run
        text = one.content if text in one.content else f"{one.content.rstrip()}\n{text}"
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    made = store.root / LAYOUT / _FOLDER / f"{name}.npmrc"
    if not made.is_file():
        disk.write_whole(made, text.encode(), mode=0o600)  # the user's own may hold logins
    return made


def _scopes(environ: Mapping[str, str], project: Path) -> bool:
    """Say whether npm's settings name a registry for a scope."""
    named = [key for key, _, _ in npmfile.variables(environ)]
    for file in borrowed.texts(borrowed.npm_files(environ, project)):
        if ":registry" in file.content:
            named += [key for key, _ in npmfile.parse(file.content, environ)]
    return any(key.startswith("@") and key.endswith(":registry") for key in named)


def _with_login(mirror: Mirror) -> str:
    if not mirror.token:
        return mirror.index
    parts = urlsplit(mirror.index)
    login = f"{USER}:{quote(mirror.token, safe='')}@"
    return urlunsplit(parts._replace(netloc=f"{login}{parts.netloc}"))


def _written(host: str) -> tuple[str, ...]:
    """Return a host as the readers of NO_PROXY write it: some want IPv6 in brackets."""
    return (host, f"[{host}]") if ":" in host else (host,)


def _here(host: str) -> bool:
    """Say whether a host is this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _unusable(why: str, scheme: str = "http(s)") -> SettingsError:
    return SettingsError(
        f"{OPTION} does not name a mirror that can be used.",
        why=why,
        next_step=f"Write it as {scheme}://host:port, and its token into {TOKEN_VARIABLE}.",
    )
