"""Which DNS-over-HTTPS resolvers are asked, and in which form: values only.

A resolver is written as a URI template (RFC 8484 §3, RFC 6570 §3.2.8), which says the form:

    https://dns.example/dns-query              POST
    https://dns.example/dns-query{?dns}        GET
    https://dns.example/resolve{?name,type}    GET, answered in JSON

``#192.0.2.53`` at its end is the address to connect to; the certificate is still checked
against the name, so a network without DNS is enough.
"""

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import SettingsError

POST, GET, JSON = "POST", "GET", "JSON"
_FORMS = {"{?dns}": GET, "{?name,type}": JSON}


@dataclass(frozen=True)
class Resolver:
    """``name`` is what people see, ``url`` has no template part, ``addresses`` may be none."""

    name: str
    url: str
    form: str = POST
    addresses: tuple[str, ...] = ()
    by_name: bool = True  # also asked by the name's own address


@dataclass(frozen=True)
class Target:
    """One way to one resolver: by its name, or connected to ``address``."""

    resolver: Resolver
    address: str = ""

    @property
    def label(self) -> str:
        """What people see: the name, and the address if it is one."""
        return f"{self.resolver.name} ({self.address})" if self.address else self.resolver.name


WELL_KNOWN = (
    Resolver("Cloudflare", "https://cloudflare-dns.com/dns-query", addresses=("1.1.1.1",)),
    Resolver("Google", "https://dns.google/dns-query", addresses=("8.8.8.8",)),
    Resolver("Quad9", "https://dns.quad9.net/dns-query", addresses=("9.9.9.9",)),
)


def parse(text: str) -> Resolver:
    """Return the resolver that a user's template names. Raises SettingsError."""
    url, _, address = text.strip().partition("#")
    form = POST
    for template, meant in _FORMS.items():
        if url.endswith(template):
            url, form = url.removesuffix(template), meant
    netloc = _netloc(url)
    try:
        address = str(ipaddress.ip_address(address.strip("[]"))) if address else ""
    except ValueError:
        netloc = ""
    if not netloc or set(url) & set("{} \\") or not url.isprintable():
        raise SettingsError(
            f"{redact.url(text)!r} names no DNS-over-HTTPS resolver.",
            next_step="Write it as https://dns.example/dns-query, if need be with #ADDRESS.",
        )
    addresses = (address,) if address else ()
    return Resolver(netloc, url, form, addresses, by_name=not address)


def _netloc(url: str) -> str:
    """Return host and port of an https URL; nothing for what is none or carries a login."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return parts.netloc if good and "@" not in parts.netloc else ""


def chosen(texts: Sequence[str]) -> tuple[Resolver, ...]:
    """Return the user's resolvers, or the well-known ones. Raises SettingsError."""
    return tuple(parse(text) for text in texts) or WELL_KNOWN


def waves(resolvers: Sequence[Resolver], *, proxied: bool) -> list[list[Target]]:
    """Return what is asked at once, and what after that.

    By address first, which needs no DNS. Through a proxy by name first, which it looks up;
    by address where it cannot do that, or where the user gave an address.
    """
    by_address = [Target(one, address) for one in resolvers for address in one.addresses]
    if not proxied:
        by_name = [Target(one) for one in resolvers if one.by_name]
        found = [by_address, by_name]
    else:
        first = [Target(one) for one in resolvers if one.by_name]
        first += [one for one in by_address if not one.resolver.by_name]
        rest = [one for one in by_address if one.resolver.by_name]
        rest += [Target(one) for one in resolvers if not one.by_name]
        found = [first, rest]
    return [wave for wave in found if wave]


def request(target: Target, name: str, kind: str, wire: bytes) -> tuple[str, str, bytes]:
    """Return method, URL and body of a question."""
    url = target.resolver.url
    joint = "&" if urlsplit(url).query else "?"
    if target.resolver.form == GET:
        # RFC 8484 §4.1: base64url without padding.
        url += f"{joint}dns={base64.urlsafe_b64encode(wire).rstrip(b'=').decode('ascii')}"
    elif target.resolver.form == JSON:
        url += joint + urlencode({"name": name, "type": kind})
    else:
        return "POST", url, wire
    return "GET", url, b""
