"""Which proxy the user named for a target. Pure: nothing is resolved, nothing is opened.

The rules, and where they come from:

- ``--proxy`` stands in for every variable, as curl's does; ``--proxy ""`` means: direct.
- Else the variable of the target's scheme, else ALL_PROXY; lower case before upper case;
  an empty one counts as unset (curl, "Environment"). In a CGI program HTTP_PROXY comes from
  a request's header and not from the user (httpoxy, CVE-2016-5385): not read there.
- Else what another program's settings name, see ``borrowed``: npm's, then pip's.
- A proxy without a scheme is an http one. Userinfo is percent-decoded (RFC 3986 §3.2.1).
- NO_PROXY takes targets out, whoever named the proxy. Programs read it differently; what
  any of the common ones takes as "direct" is direct here, see ``bypass``.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import unquote

from pyodide_offline.errors import SettingsError

Scheme = Literal["http", "https", "socks5", "socks5h", "direct"]
DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
OPTION = "--proxy"

_HOST = re.compile(r"[^\s/?#@:\[\]%\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_TARGET_SCHEMES = {"ws": "http", "wss": "https"}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Upstream:
    """A proxy, and which variable or option named it (``origin``).

    ``named`` is false for one that a script or a server chose (PAC): it gets no password
    that the user did not store for exactly this host. The scheme ``direct`` is for DIRECT
    among the proxies of such a script: the target itself is connected to.
    """

    scheme: Scheme
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    origin: str = OPTION
    named: bool = True

    @property
    def address(self) -> str:
        """Host and port as they are written in a URL."""
        return authority(self.host, self.port)

    def __str__(self) -> str:
        """Return the URL without user and password."""
        return "no proxy" if self.scheme == "direct" else f"{self.scheme}://{self.address}"


@dataclass(frozen=True)
class Borrowed:
    """A proxy in another program's settings, for targets of ``scheme`` (all if empty).

    ``origin`` says where it is written, ``no_proxy`` what those settings take out.
    """

    value: str = field(repr=False)
    origin: str
    scheme: str = ""
    no_proxy: str = ""


def authority(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(url: str, origin: str) -> Upstream:
    """Read a proxy's URL. Raises SettingsError; the value is never shown, it may hold a password.

    ``origin`` is the variable or the option that it came from.
    """
    text = url.strip()
    scheme = "http"
    if match := _SCHEME.match(text):
        scheme, text = match[1].lower(), text[match.end() :]
    if scheme not in DEFAULT_PORTS:
        raise _unusable(origin, f"{scheme}:// is not a kind of proxy that is known here.")
    address, rest = _split(text, "/?#")
    if "@" in rest:
        raise _unusable(origin, "A / ? or # in user or password has to be percent-encoded.")
    userinfo, _, place = address.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if _CONTROL.search(unquote(userinfo)):
        raise _unusable(origin, "There is a control character in user or password.")
    host, port = _place(place, origin)
    return Upstream(
        cast(Scheme, scheme),
        host,
        DEFAULT_PORTS[scheme] if port is None else port,
        unquote(user) if userinfo else None,
        unquote(password) if colon else None,
        origin,
    )


def for_target(
    environ: Mapping[str, str],
    scheme: str,
    host: str,
    port: int,
    *,
    named: Sequence[str] = (),
    borrowed: Callable[[], Sequence[Borrowed]] = tuple,
) -> list[Upstream]:
    """Return the proxies for a target, in the order to try them; an empty list is: direct.

    ``scheme`` is the target's ("https" for anything that is to be tunnelled), ``named``
    what ``--proxy`` said; ``borrowed`` is called where neither that nor a variable names
    one. Raises SettingsError for a proxy that cannot be used.
    """
    if exempt(environ, host, port):
        return []
    if named:
        return [parse(one, OPTION) for one in named if one.strip()]
    for name in variables(environ, scheme):
        if value := environ.get(name, "").strip():
            return [parse(value, name)]
    target = _TARGET_SCHEMES.get(scheme.lower(), scheme.lower())
    for one in borrowed():
        if one.scheme in ("", target):
            out = bypass(one.no_proxy, host, port) is not None
            return [] if out else [parse(one.value, one.origin)]
    return []


def exempt(environ: Mapping[str, str], host: str, port: int) -> bool:
    """Say whether NO_PROXY takes a target out, whoever names a proxy."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return bypass(no_proxy, host, port) is not None


def variables(environ: Mapping[str, str], scheme: str) -> list[str]:
    """Return the names of the variables that may name a proxy, the strongest first."""
    lower = scheme.lower()
    stem = f"{_TARGET_SCHEMES.get(lower, lower)}_proxy"
    names = [stem, stem.upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ:
        names = [name for name in names if name != "HTTP_PROXY"]
    return names


def bypass(no_proxy: str, host: str, port: int) -> str | None:
    """Return the entry of a NO_PROXY value that takes this target out, or None.

    Entries are parted by commas or spaces; case and a final dot do not count.

    - ``*``: every target.
    - ``example.com``, ``.example.com``: this name and all below it; ``*.example.com``: all
      below it.
    - ``10.1.2.3``, ``::1``, ``[::1]``: this address, however it is written.
    - ``10.0.0.0/8``, ``2001:db8::/32``: the addresses of this network. A name is not looked
      up for it.
    - each with ``:port`` (an IPv6 one in brackets then): for this port only.
    """
    name = _name(host.removeprefix("[").removesuffix("]"))
    address = _address(name)
    for entry in re.split(r"[,\s]+", no_proxy):
        if entry and _matches(entry, name, address, port):
            return entry
    return None


def _matches(entry: str, name: str, address: _Address | None, port: int) -> bool:
    if entry == "*":
        return True
    pattern, only = _entry(entry)
    if only is not None and only != str(port):
        return False
    if address is not None:
        network = _network(pattern)
        return network is not None and address.version == network.version and address in network
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    pattern = pattern.removeprefix(".")
    return bool(pattern) and (name == pattern or name.endswith(f".{pattern}"))


def _entry(entry: str) -> tuple[str, str | None]:
    """Part an entry into host (brackets off) and port."""
    if match := re.fullmatch(r"\[([^\]]*)\](/\d+)?(?::(\d*))?", entry):
        return _name(match[1] + (match[2] or "")), match[3]
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return _name(host), port
    return _name(entry), None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    single = _address(text)
    try:
        return ipaddress.ip_network(single if single is not None else text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # ::ffff:10.1.2.3 is how a dual-stack socket writes 10.1.2.3 (RFC 4291 §2.5.5.2).
    return getattr(address, "ipv4_mapped", None) or address


def _name(text: str) -> str:
    """Return a name as it is compared: lower case, no final dot, IDNA in ASCII."""
    text = text.lower().removesuffix(".")
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return text


def _place(text: str, origin: str) -> tuple[str, int | None]:
    """Read ``host``, ``host:port`` or ``[v6]:port``."""
    match = re.fullmatch(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?", text)
    if match is None:
        raise _unusable(origin, "An IPv6 address stands in brackets: http://[2001:db8::1]:3128.")
    host = match["host"] or ""
    if match["v6"] is not None:
        host = unquote(match["v6"])  # a zone is written %25eth0 (RFC 6874 §2)
        if ":" not in host or _address(host) is None:
            raise _unusable(origin, "What stands in brackets is not an IPv6 address.")
    elif not _HOST.fullmatch(host):
        raise _unusable(origin, "There is no usable host name in it.")
    if not match["port"]:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", match["port"]) or not 0 < int(match["port"]) < 65536:
        raise _unusable(origin, "Its port is not a number from 1 to 65535.")
    return host, int(match["port"])


def _split(text: str, ends: str) -> tuple[str, str]:
    at = min((i for i in (text.find(c) for c in ends) if i >= 0), default=len(text))
    return text[:at], text[at:]


def _unusable(origin: str, why: str) -> SettingsError:
    return SettingsError(
        f"{origin} does not name a proxy that can be used.",
        why=why,
        next_step="Write it as http://host:port, or with https, socks5 or socks5h.",
    )
