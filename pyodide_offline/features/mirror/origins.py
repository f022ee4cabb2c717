"""Which upstream a mirror asks for what: the user's own npm and pip settings, or --upstream.

    npm=URL      npm's registry (else the one of npm's configuration, scopes' own too)
    pypi=URL     a simple index (else pip's)
    bundles=URL  where workerd fetches its bundles
    pyodide=URL  a folder with v<version>/full/ below it

Logins come from those settings and go to their origin only. What an index names as the
place of its files may be asked too, by https: many registries keep their files with
strangers, and the index has the digests. It must not lead to a private address, unless the
index itself is at one: then it is a company's own, and so are its neighbours.
"""

import base64
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pyodide_offline import process
from pyodide_offline.distribution import npmrc
from pyodide_offline.errors import ForbiddenError, RegistryError, SettingsError
from pyodide_offline.features.mirror import allowlist
from pyodide_offline.features.mirror.allowlist import Allowlist, Door
from pyodide_offline.features.mirror.upstream import Source
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip, programs

NPM, PYPI, BUNDLES, PYODIDE = "npm", "pypi", "bundles", "pyodide"
KINDS = (NPM, PYPI, BUNDLES, PYODIDE)
DEFAULTS = {
    BUNDLES: "https://pyodide-capnp-bin.edgeworker.net/",
    PYODIDE: "https://cdn.jsdelivr.net/pyodide/",
}
MOST_HOSTS = 100  # that indexes name for their files


@dataclass
class Origins:
    """The upstreams by kind; ``npm`` answers for scopes, None where --upstream names one."""

    named: Mapping[str, Source]
    npm: npmrc.Config | None = None
    besides: Sequence[Door] = ()
    trusting: bool = True
    _vouched: dict[Door, Door] = field(default_factory=dict)

    def of(self, kind: str) -> Source:
        """Return an upstream's root, its address ending in a slash. Raises RegistryError."""
        if kind in self.named:
            return self.named[kind]
        raise RegistryError(
            f"This mirror has no upstream for {kind}.",
            next_step=f"Start it with --upstream {kind}=URL.",
        )

    def registry(self, package: str) -> Source:
        """Return npm's registry for a package. Raises RegistryError."""
        if NPM in self.named or self.npm is None:
            return self.of(NPM)
        url = self.npm.registry(package)
        login = self.npm.login(url)
        headers = {"Authorization": login.authorization} if login and login.authorization else {}
        cafile = self.npm.get("cafile")
        files = (Path(cafile).expanduser(),) if cafile else ()
        return Source(url, headers, files)

    def vouch(self, url: str, index: str) -> None:
        """Let a file's address that an index names, with a digest, be asked."""
        if not self.trusting or len(self._vouched) >= MOST_HOSTS:
            return
        with suppress(SettingsError):
            door = allowlist.upstream(url)
            if door.scheme == "https":
                self._vouched.setdefault(door, allowlist.upstream(index))

    def permit(self, url: str) -> str:
        """Return the reason why a URL must not be asked, nothing if it may be."""
        return self._refused(url, _addresses)

    def permit_peer(self, url: str, address: str) -> str:
        """Return the reason why an address must not be asked to which a URL's name has led.

        A name may lead elsewhere than a moment before, when ``permit`` looked.
        """
        return self._refused(url, lambda _: [ip_address(address)])

    def _refused(self, url: str, found: Callable[[Door], list[allowlist.Address]]) -> str:
        doors = [allowlist.upstream(one.url) for one in self.named.values()]
        if self.npm:
            doors += [allowlist.upstream(one) for one in _registries(self.npm)]
        # A host by its whole name is the operator's own word, wherever it leads.
        doors += [one for one in self.besides if not one.host.startswith("*")]
        listed = Allowlist(tuple(doors), (*self.besides, *self._vouched))
        try:
            door = listed.check(url)
            if not listed.trusted(door) and not self._neighbour(door):
                listed.check_addresses(door, found(door))
        except ForbiddenError as error:
            return f"{error}"
        return ""

    def _neighbour(self, door: Door) -> bool:
        """Say whether the index that names a host is itself at a private address."""
        index = self._vouched.get(door)
        literal = allowlist.address(door.host) is not None
        return not literal and index is not None and any(map(allowlist.private, _addresses(index)))


def read(session: Session, named: Mapping[str, str], hosts: Sequence[str] = ()) -> Origins:
    """Return the upstreams of --upstream, else of the user's settings. Raises SettingsError."""
    for kind in named:
        if kind not in KINDS:
            raise SettingsError(
                f"{kind} is no kind of upstream.", next_step=f"Known are {', '.join(KINDS)}."
            )
    found = {kind: _source(url) for kind, url in {**DEFAULTS, **named}.items()}
    config = None
    if NPM not in found:
        program = programs.which("npm", session.environ)
        config = npmrc.load(session.environ, session.project, [str(program)] if program else None)
    if PYPI not in found and (index := _index(session)):
        found[PYPI] = index
    return Origins(found, config, [allowlist.allowed(one) for one in hosts])


def _source(url: str, ca_files: tuple[Path, ...] = ()) -> Source:
    allowlist.upstream(url)
    parts = urlsplit(url)
    headers = {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/") + "/"
    return Source(urlunsplit((parts.scheme, host, path, "", "")), headers, ca_files)


def _index(session: Session) -> Source | None:
    """Return the index of pip's configuration, else the one that pip's own help names."""
    told = pip.configuration(session)
    cert = told.get("cert")
    files = (Path(cert).expanduser(),) if cert else ()
    if url := told.get("index-url"):
        return _source(url, files)
    asked = [sys.executable, "-m", "pip", "install", "--help"]
    words = process.capture(asked, env=session.environ, timeout=60).stdout
    found = re.search(r"--index-url.*?\(default:?\s+(https?://\S+?)\)", words, re.DOTALL)
    return _source(found[1], files) if found else None


def _registries(config: npmrc.Config) -> list[str]:
    found = []
    for key in config.settings:
        if key == "registry" or key.endswith(":registry"):
            with suppress(RegistryError):
                found.append(config.registry(f"{key.partition(':')[0]}/x" if ":" in key else "x"))
    return found


def _addresses(door: Door) -> list[allowlist.Address]:
    """Return where a name leads, as far as this machine can tell: behind a proxy it need not."""
    try:
        found = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]
