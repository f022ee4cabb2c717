"""Packages from the npm registry that the user's npm is configured for.

No registry is named here: npm, .npmrc and the variables are asked (see ``npmrc``). The
version's metadata must carry a Subresource Integrity hash, and the tarball must have it.
Logins go to the registry's own origin only.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pyodide_offline import digest as digests
from pyodide_offline import redact
from pyodide_offline.digest import Digest
from pyodide_offline.distribution import npmrc
from pyodide_offline.errors import IntegrityError, NetworkError, RegistryError
from pyodide_offline.network import fetch, trust
from pyodide_offline.network.fetch import HttpStatusError
from pyodide_offline.session import Session
from pyodide_offline.store import Entry

KIND = "npm"
LARGEST_TARBALL = 200_000_000
LARGEST_METADATA = 64_000_000
# What a registry without the one-version address may answer to it.
_NOT_SERVED = {400, 404, 405, 406, 410, 501}
_ACCEPT = "application/vnd.npm.install-v1+json, application/json;q=0.9, */*;q=0.1"
_SAFE = {"sha256", "sha384", "sha512"}


def tarball(session: Session, name: str, version: str, *, npm: Sequence[str] | None) -> Entry:
    """Return a package's tarball from the store, after fetching it if it is not there.

    ``npm`` is the command that npm is started with, None if there is none. Raises
    RegistryError, NetworkError, IntegrityError, OfflineError, StorageError.
    """
    full = f"{name}@{version}"
    found = session.store.find(KIND, full)
    if found:
        return found
    session.require_network(full)

    def produce(target: Path) -> Mapping[str, Any]:
        source = _Registry.of(session, name, npm)
        sri, address = source.locate(version)
        used = source.download(version, sri, address, target)
        return {
            "source": "npm",
            "package": name,
            "version": version,
            "integrity": sri.sri,
            "registry": redact.url(source.url),
            "url": redact.url(used),
        }

    return session.store.fill(KIND, full, produce)


def locked(
    session: Session,
    name: str,
    version: str,
    expected: Digest,
    address: Callable[[], str],
    config: Callable[[], npmrc.Config],
) -> Entry:
    """Return a tarball that a lock names, by its digest there; no metadata is asked for.

    ``address`` is where the lock's maker found it; it and npm's configuration are asked for
    only where the store has no such tarball. Raises as ``tarball`` does.
    """
    full = f"{name}@{version}"

    def fits(entry: Entry) -> bool:
        if entry.provenance.get("integrity") == expected.sri:
            return True
        return digests.of_file(entry.path, expected.algorithm) == expected

    found = session.store.find(KIND, full)
    if found and fits(found):
        return found
    # Another registry's package of the same name: both are kept.
    place = f"{full}-{expected.short}" if found else full
    if (found := session.store.find(KIND, place)) and fits(found):
        return found
    session.require_network(full)

    def produce(target: Path) -> Mapping[str, Any]:
        source = _Registry(session, name, config())
        used = source.download(version, expected, address(), target)
        return {
            "source": "npm",
            "package": name,
            "version": version,
            "integrity": expected.sri,
            "registry": redact.url(source.url),
            "url": redact.url(used),
        }

    return session.store.fill(KIND, place, produce)


class _Registry:
    """One package at one registry, with what is needed to be let in."""

    def __init__(self, session: Session, name: str, config: npmrc.Config) -> None:
        self._session = session
        self._name = name
        self._config = config
        self.url = config.registry(name)
        self._login = config.login(self.url)
        cafile = config.get("cafile")
        self._ca_files = [Path(cafile).expanduser()] if cafile else []
        strict = config.settings.get("strict-ssl")
        if strict and strict.value == "false" and not strict.source.startswith("the variable"):
            trust.once(session.progress.note, trust.unfollowed(f"strict-ssl in {strict.source}"))

    @classmethod
    def of(cls, session: Session, name: str, npm: Sequence[str] | None) -> "_Registry":
        return cls(session, name, npmrc.load(session.environ, session.project, npm))

    def locate(self, version: str) -> tuple[Digest, str]:
        """Ask for the version's metadata; return the tarball's digest and address."""
        document = self._version(version)
        if not isinstance(document, dict) or document.get("version") != version:
            raise self._odd(version, "It does not describe this version.")
        dist = document.get("dist")
        if not isinstance(dist, dict) or not isinstance(dist.get("tarball"), str):
            raise self._odd(version, "It names no tarball.")
        return self._integrity(version, dist), dist["tarball"]

    def download(self, version: str, sri: Digest, address: str, target: Path) -> str:
        """Fetch the tarball; return the address that it came from."""
        label = f"{self._name}@{version}"
        addresses = self._addresses(address)
        failed: list[str] = []
        for number, url in enumerate(addresses, 1):
            try:
                fetch.download(
                    self._session,
                    url,
                    target,
                    label=label,
                    digest=sri,
                    max_bytes=LARGEST_TARBALL,
                    headers=self._headers(url),
                    ca_files=self._ca_files,
                    elsewhere=True,
                )
            except HttpStatusError as error:
                if number == len(addresses) and not failed:
                    raise self._refused(label, error) from error
                failed.append(f"{redact.url(url)}: {error.status}.")
            except NetworkError as error:
                if number == len(addresses) and not failed:
                    raise
                failed.append(f"{redact.url(url)}: {error.what}")
            else:
                return url
        raise RegistryError(
            f"The file of {label} is not where the registry {self._host} says.",
            why=" ".join(failed),
            next_step="Ask its owner to let it serve tarballs from its own address.",
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc

    def _version(self, version: str) -> object:
        """Ask for this version alone; where that is not served, for all versions."""
        label = f"{self._name}@{version}"
        name = quote(self._name, safe="@")  # @scope%2Fname, as npm writes it
        try:
            return self._json(f"{self.url}{name}/{quote(version, safe='')}", label)
        except HttpStatusError as error:
            if error.status not in _NOT_SERVED:
                raise self._refused(label, error) from error
        try:
            everything = self._json(f"{self.url}{name}", label, accept=_ACCEPT)
        except HttpStatusError as error:
            raise self._refused(label, error) from error
        versions = everything.get("versions") if isinstance(everything, dict) else None
        if not isinstance(versions, dict):
            raise self._odd(version, "It lists no versions.")
        if version not in versions:
            raise RegistryError(
                f"The registry {self._host} has no version {version} of {self._name}.",
                why=f"It has {len(versions)} others.",
                next_step=f"See which: npm view {self._name} versions",
            )
        return versions[version]

    def _json(self, url: str, label: str, accept: str = "application/json") -> object:
        data = fetch.read(
            self._session,
            url,
            max_bytes=LARGEST_METADATA,
            headers={"Accept": accept, **self._headers(url)},
            ca_files=self._ca_files,
            label=label,
        )
        try:
            document: object = json.loads(data)
        except ValueError as error:
            page = data.lstrip()[:1] == b"<"
            raise RegistryError(
                f"{self._host} does not answer as an npm registry does.",
                why=f"It sent {'a web page' if page else 'something'} where JSON was asked for.",
                next_step="Check the registry: npm config get registry",
            ) from error
        return document

    def _headers(self, url: str) -> dict[str, str]:
        if self._login and self._login.authorization and _same_origin(url, self.url):
            return {"Authorization": self._login.authorization}
        return {}

    def _addresses(self, named: str) -> list[str]:
        """Return where the tarball may be, best first.

        A mirror often passes on metadata that names the place it copied from, which may
        be out of reach: the same path is tried here first (npm's replace-registry-host
        does so for the public registry), under the registry's own path too.
        """
        if _same_origin(named, self.url):
            return [named]
        here, there = urlsplit(self.url), urlsplit(named)
        paths = [there.path]
        if here.path != "/" and not there.path.startswith(here.path):
            paths.insert(0, here.path.rstrip("/") + there.path)
        own = [urlunsplit((here.scheme, here.netloc, path, there.query, "")) for path in paths]
        # The digest came from the registry, so an address in plain http does no harm.
        return [*own, named] if there.scheme in {"http", "https"} else own

    def _integrity(self, version: str, dist: Mapping[str, Any]) -> Digest:
        text = dist.get("integrity")
        try:
            found = digests.parse(text) if isinstance(text, str) else None
        except ValueError:
            found = None
        if found and found.algorithm in _SAFE:
            return found
        raise IntegrityError(
            f"The registry {self._host} gives no usable hash of {self._name}@{version}.",
            why="Its metadata has no SHA-512 (dist.integrity); a SHA-1 alone can be forged.",
            next_step="Use a registry or mirror that passes dist.integrity on.",
        )

    def _odd(self, version: str, why: str) -> RegistryError:
        return RegistryError(
            f"The metadata of {self._name}@{version} from {self._host} cannot be used.",
            why=why,
            next_step="Check the registry: npm config get registry",
        )

    def _refused(self, label: str, error: HttpStatusError) -> RegistryError:
        host = self._host
        if error.page and error.status != 404:
            return RegistryError(
                f"{host} answered {error.status} with a web page for {label}.",
                why="That is more often a proxy on the way than an npm registry.",
                next_step=f"Open it in a browser, or ask who runs the proxy: {error.url}",
            )
        if error.status in (401, 403):
            return RegistryError(
                f"The registry {host} does not let you have {label} ({error.status}).",
                why=self._login_state(),
                next_step=f"Log in again: npm login --registry={redact.url(self.url)}",
            )
        if error.status == 404:
            return RegistryError(
                f"The registry {host} has no {label} (404).",
                why="Some registries answer so to people without the right to read, too.",
                next_step=f"Check the registry and the version: npm view {label}",
            )
        return RegistryError(
            f"The registry {host} answered {error.status} for {label}.",
            next_step="Try again later, or ask who runs it.",
        )

    def _login_state(self) -> str:
        if self._login and self._login.problem:
            return f"The line {self._login.key} in {self._login.source} {self._login.problem}."
        if self._login:
            return f"It did not accept the line {self._login.key} in {self._login.source}."
        missing = f"//{self._host}{urlsplit(self.url).path}:_authToken"
        if misplaced := self._config.misplaced_login():
            return f"The login in {misplaced.source} names no registry; npm wants {missing}=…"
        return f"No line {missing}=… in {' or '.join(self._config.sources)}."


def _same_origin(one: str, other: str) -> bool:
    return fetch.origin(one) == fetch.origin(other)
