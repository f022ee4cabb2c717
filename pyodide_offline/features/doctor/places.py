"""The places that a start needs: the host of the official bundle, the package registries.

They are asked of the project and of the user's own settings, once for all checks.
"""

import re
import socket
import ssl
import sys
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pyodide_offline import process
from pyodide_offline.distribution import npmrc
from pyodide_offline.errors import NetworkError, PyodideOfflineError, SettingsError
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import configured, mirrored, reach, trust
from pyodide_offline.network.located import Located
from pyodide_offline.network.mirrored import Mirror
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.workers import probe, project
from pyodide_offline.workers.toolchain import pip, programs, wrangler

# Where workerd gets its bundles, as long as it cannot be asked.
KNOWN = "https://pyodide-capnp-bin.edgeworker.net/"
# What lies on the way to every place: the proxy, as far as it is one.
BEFORE = ("proxy.settings", "proxy.name", "proxy.connect", "proxy.tls", "proxy.login")
IPV6_PATIENCE = 0.5  # seconds for a connection over IPv6, where there is IPv4 too
Role = Literal["official", "npm", "pypi"]


@dataclass(frozen=True)
class Place(Located):
    """Where something is got from; ``source`` says who names it. ``url`` holds no login."""

    role: Role
    url: str
    source: str


def official(observed: Observed) -> Place:
    """Return where the project's workerd gets its bundle; the known place if it is silent."""
    return observed.facts.once("place official", lambda: _official(observed))


def npm(observed: Observed) -> Place | None:
    """Return the npm registry, None where nothing names one (there is no npm either)."""
    return observed.facts.once("place npm", lambda: _npm(observed))


def pypi(observed: Observed) -> Place | None:
    """Return the Python index that pip uses, None without pip."""
    return observed.facts.once("place pypi", lambda: _pypi(observed))


def mirror(observed: Observed) -> Mirror | None:
    """Return the mirror that stands in for all of them, None where none is named."""
    return mirrored.named(observed.environ)


def mirrors(observed: Observed, place: Place) -> bool:
    """Say whether a place is the mirror's."""
    named = mirror(observed)
    return named is not None and (place.host, place.port) == (named.host, named.port)


def upstreams(observed: Observed, place: Place) -> list[Upstream]:
    """Return the proxies for a place, by our own rules; none where they cannot be read."""
    try:
        return named(observed).for_target(place.scheme, place.host, place.port)
    except SettingsError:
        return []  # proxy.settings tells


def named(observed: Observed) -> Upstreams:
    """Return whom all of the user's settings name as proxies, read once."""
    return observed.facts.once("upstreams", lambda: Upstreams(observed.session))


@dataclass(frozen=True)
class Outcome:
    """How a request to a place ended: ``answer``, or ``error`` with facts."""

    answer: reach.Answer | None = None
    error: NetworkError | None = None

    @property
    def untrusted(self) -> bool:
        """Whether its certificate was not believed."""
        return self.error is not None and self.error.facts.get("stage") == "untrusted"


# A small answer of each: of a registry what a start needs anyway, of the official host
# anything at all.
_ASKED = {"official": "", "npm": "pyodide/latest", "pypi": "workers-py/"}


def outcome(observed: Observed, place: Place) -> Outcome:
    """Return how a request to a place ends, made once for all checks."""

    def ask() -> Outcome:
        context = believed(observed)
        root = f"{place.scheme}://{urlsplit(place.url).netloc}/"
        url = root if place.role == "official" else place.url + _ASKED[place.role]
        method = "HEAD" if place.role == "official" else "GET"
        ways = upstreams(observed, place)
        try:
            answer = reach.ask(
                url,
                ways,
                environ=observed.environ,
                trust=context,
                headers=_login(observed, place),
                method=method,
                address=address(observed, place),
            )
        except NetworkError as error:
            return Outcome(error=error)
        return Outcome(answer)

    return observed.facts.once(f"outcome {place.role}", ask)


def _login(observed: Observed, place: Place) -> dict[str, str]:
    named = mirror(observed)
    return named.headers if named and mirrors(observed, place) else {}


def address(observed: Observed, place: Place) -> str:
    """Return the IPv4 address to connect to where IPv6 is there and leads nowhere, else "".

    So that not each of many connections waits for it.
    """
    found = observed.evidence("dns.system").get("addresses", {}).get(place.host, ())
    newer = [one for one in found if ":" in one]
    older = [one for one in found if ":" not in one]
    if not (newer and older) or upstreams(observed, place):
        return ""

    def dead() -> bool:
        try:
            socket.create_connection((newer[0], place.port), IPV6_PATIENCE).close()
        except OSError:
            return True
        return False

    name = f"IPv6 to {place.host}:{place.port}"
    return str(older[0]) if observed.facts.once(name, dead) else ""


def believed(observed: Observed) -> ssl.SSLContext:
    """Return whom we trust here, read once."""

    def read() -> ssl.SSLContext:
        environ, folder = observed.environ, observed.project
        extra = [one.path for one in configured.sources(environ, folder)]
        return trust.context(environ, extra, note=lambda _: None)

    return observed.facts.once("trust", read)


def obstacle(observed: Observed, place: Place) -> str | None:
    """Return the id of a check that failed on the way to a place, None if there is none."""
    if mirrors(observed, place):
        asked = ("mirror.answers", "mirror.serves")
        return next(
            (one for one in asked if one in observed.found and observed.found[one].bad), None
        )
    before = BEFORE if upstreams(observed, place) else BEFORE[:1]
    for name in before:
        if name in observed.found and observed.found[name].bad:
            return name
    missing = observed.evidence("dns.system").get("missing", {})
    if len(before) == 1 and place.host in missing:
        return "dns.system"
    if place.role in observed.evidence("trust.chain").get("untrusted", {}):
        return "trust.chain"
    return None


def known(observed: Observed) -> list[Place]:
    """Return all places there are, the official host first."""
    found = (official(observed), npm(observed), pypi(observed))
    return [place for place in found if place is not None]


def blocked(observed: Observed, place: Place) -> str | None:
    """Return what keeps a place from being asked: an obstacle, or that it is not reached."""
    if stop := obstacle(observed, place):
        return stop
    if place.role == "official" and not mirrors(observed, place):
        name = "proxy.tunnel" if upstreams(observed, place) else "direct.tcp"
        if name in observed.found and observed.found[name].state is not State.PASS:
            return name
    return None


def _official(observed: Observed) -> Place:
    if named := mirror(observed):
        return Place("official", named.url, "the mirror that is named")
    try:
        if project.find_config(observed.project) is not None:
            worker = project.read(observed.project)
            found = wrangler.find(observed.session)
            if found is not None and worker.is_python:
                want = probe.want(observed.session.store, found.workerd, worker.date, worker.flags)
                return Place("official", want.url, f"the project's workerd ({found.workerd})")
    except PyodideOfflineError:
        pass  # what is wrong with it is another check's matter
    return Place("official", KNOWN, "known here; no workerd was asked")


def _npm(observed: Observed) -> Place | None:
    environ, folder = observed.environ, observed.project
    config = npmrc.load(environ, folder, None)
    if config.get("registry") is None and (program := programs.which("npm", environ)):
        config = npmrc.load(environ, folder, (str(program),))
    try:
        url = config.registry("pyodide")
    except PyodideOfflineError:
        return None
    setting = config.settings.get("registry")
    return Place("npm", url, setting.source if setting else "npm")


def _pypi(observed: Observed) -> Place | None:
    named = observed.environ.get("PIP_INDEX_URL")
    source = "the variable PIP_INDEX_URL"
    if not named:
        named, source = pip.configuration(observed.session).get("index-url"), "pip's settings"
    if not named:
        named, source = _default_index(observed), "pip"
    if not named:
        return None
    parts = urlsplit(named)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return Place("pypi", bare.geturl().rstrip("/") + "/", source)


def _default_index(observed: Observed) -> str | None:
    """Return what pip's own help names as its default."""
    done = process.capture(
        [sys.executable, "-m", "pip", "install", "--help"],
        env={**observed.environ, "COLUMNS": "200"},
        timeout=20,
    )
    text = re.sub(r"\s+", " ", done.stdout)
    match = re.search(r"--index-url .{0,200}?\(default:? ?(https?://[^\s)]+)", text)
    return match[1] if match else None
