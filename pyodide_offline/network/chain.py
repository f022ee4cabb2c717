"""Whose certificates a server showed, what is wrong with them, and what to do. Pure.

Certificates are RFC 5280's; the numbers of what is wrong are those of OpenSSL's
X509_STORE_CTX_get_error(3), which Python gives as ``verify_code``.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pyodide_offline.errors import NetworkError
from pyodide_offline.paths import CA_VARIABLE

if TYPE_CHECKING:
    from cryptography import x509

Fault = Literal["expired", "early", "name", "self-signed", "unknown", "other"]
_CODES: dict[int, Fault] = {
    9: "early",
    10: "expired",
    18: "self-signed",
    2: "unknown",
    19: "unknown",
    20: "unknown",
    21: "unknown",
    62: "name",
    64: "name",
}
_LONGEST = 100  # characters of a name that somebody else has chosen
_NAMES = 4
# What inspects TLS calls itself so in the certificates that it makes.
_PRODUCTS = {
    "Zscaler": r"zscaler",
    "Netskope": r"netskope|goskope",
    "Palo Alto Networks": r"palo ?alto|globalprotect|pan-?os",
    "Fortinet": r"forti(?:net|gate|proxy|guard)|fgt\d",
    "Symantec (Blue Coat) ProxySG": r"blue ?coat|proxysg|symantec.*(?:proxy|web|wss|cloud)",
    "Cisco Umbrella": r"umbrella|opendns",
    "Cisco Secure Web Appliance": r"ironport|cisco.*(?:web|wsa|firepower)",
    "Skyhigh (McAfee) Web Gateway": r"mcafee|skyhigh|trellix",
    "Sophos": r"sophos|astaro",
    "Check Point": r"check ?point",
    "Forcepoint": r"forcepoint|websense",
    "Cloudflare Gateway": r"cloudflare (?:managed|for teams|corporate)|gateway ca - cloudflare",
    "Cato Networks": r"cato networks|catonetworks",
    "Menlo Security": r"menlo security",
    "iboss": r"\biboss",
    "Barracuda": r"barracuda",
    "SonicWall": r"sonicwall",
    "WatchGuard": r"watchguard",
    "Trend Micro": r"trend ?micro",
    "Smoothwall": r"smoothwall",
    "Lightspeed": r"lightspeed",
    "Securly": r"securly",
    "Untangle": r"untangle",
    "pfSense": r"pfsense",
    "OPNsense": r"opnsense",
    "Kaspersky": r"kaspersky",
    "ESET": r"\beset\b",
    "Avast": r"\bavast\b|\bavg\b",
    "Bitdefender": r"bitdefender",
    "Norton": r"\bnorton\b",
    "Dr.Web": r"dr\.? ?web\b",
    "AdGuard": r"adguard",
    "mitmproxy": r"mitmproxy",
    "Squid": r"\bsquid\b",
    "Charles": r"charles proxy",
    "Fiddler": r"fiddler",
    "Burp Suite": r"portswigger",
    "ZAP": r"\bowasp\b|zaproxy|zed attack proxy",
    "Proxyman": r"proxyman",
}


@dataclass(frozen=True)
class Certificate:
    """One certificate, as people read it; names without control characters, times in UTC.

    ``hosts`` are the DNS names and addresses that it is for, ``sha256`` is its fingerprint.
    """

    subject: str
    issuer: str
    hosts: tuple[str, ...]
    starts: datetime
    ends: datetime
    sha256: str
    self_signed: bool


def parse(encoded: bytes) -> Certificate:
    """Read a certificate's DER. Raises ValueError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    with warnings.catch_warnings():  # of what is odd in it, which is not the user's doing
        warnings.simplefilter("ignore")
        read = x509.load_der_x509_certificate(encoded)
        return Certificate(
            subject=_name(read.subject),
            issuer=_name(read.issuer),
            hosts=_hosts(read),
            starts=read.not_valid_before_utc,
            ends=read.not_valid_after_utc,
            sha256=read.fingerprint(SHA256()).hex(),
            self_signed=read.subject == read.issuer,
        )


def read(encoded: Sequence[bytes]) -> tuple[Certificate, ...]:
    """Read a chain as a server sends it, its own certificate first; broken ones are left out."""
    found = []
    for one in encoded:
        try:
            found.append(parse(one))
        except (ValueError, TypeError):
            continue
    return tuple(found)


def product(chain: Sequence[Certificate]) -> str | None:
    """Return what inspects TLS, if the issuers say so."""
    text = " ".join(f"{one.issuer} {one.subject if n else ''}" for n, one in enumerate(chain))
    for name, pattern in _PRODUCTS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return None


def issuers(chain: Sequence[Certificate]) -> str:
    """Return who issued the server's certificate, and the one above all, as far as was seen."""
    if not chain:
        return ""
    first, last = chain[0].issuer, chain[-1].issuer
    return f'"{first}"' if first == last else f'"{first}" (under "{last}")'


def fault(code: int | None, chain: Sequence[Certificate], now: datetime | None = None) -> Fault:
    """Return what is wrong, by OpenSSL's number; where there is none, by the chain itself."""
    if code in _CODES:
        return _CODES[code]
    if code or not chain:
        return "other"
    now = now or datetime.now(UTC)
    if any(one.ends < now for one in chain):
        return "expired"
    if any(one.starts > now for one in chain):
        return "early"
    return "self-signed" if len(chain) == 1 and chain[0].self_signed else "unknown"


def untrusted(
    place: str,
    chain: Sequence[Certificate],
    *,
    code: int | None,
    reason: str,
    way: str = "",
    now: datetime | None = None,
) -> NetworkError:
    """Return the error for certificates that are not believed.

    ``place`` is who showed them, ``reason`` what the verifier said, ``way`` a sentence on
    the proxy.
    """
    now = now or datetime.now(UTC)
    wrong = fault(code, chain, now)
    error = _untrusted(place, chain, wrong, reason, way, now)
    error.facts = {
        "stage": "untrusted", "fault": wrong, "reason": reason, "code": code,
        "issuer": issuers(chain), "product": product(chain) or "",
    }  # fmt: skip
    return error


def _untrusted(
    place: str,
    chain: Sequence[Certificate],
    wrong: Fault,
    reason: str,
    way: str,
    now: datetime,
) -> NetworkError:
    seen = issuers(chain)
    issued = f"Its issuer is {seen}." if seen else ""
    if wrong == "expired" and chain:
        one = next((one for one in chain if one.ends < now), chain[0])
        whose = "it" if one is chain[0] else f'"{one.subject}" above it'
        return _error(
            f"The certificate of {place} has expired: {whose} ended on {one.ends:%Y-%m-%d}.",
            [issued, f"This machine's clock says {_moment(now)}.", way],
            "If the clock is right, who runs the server (or the proxy) must renew it.",
        )
    if wrong == "early" and chain:
        one = next((one for one in chain if one.starts > now), chain[0])
        return _error(
            f"The certificate of {place} is not valid yet: it begins on {_moment(one.starts)}.",
            [issued, f"This machine's clock says {_moment(now)}.", way],
            "Set the clock of this machine.",
        )
    if wrong == "name" and chain:
        return _error(
            f"The certificate of {place} is for another name: {_few(chain[0].hosts)}.",
            [issued, "Somebody else answers there, or the address leads to the wrong place.", way],
            "Check the address, the hosts file and the proxy; a CA file does not help here.",
        )
    inspector = product(chain)
    by = f"{inspector} inspects TLS on this network." if inspector else ""
    if wrong == "self-signed" and chain:
        return _error(
            f'The certificate of {place} is not trusted: "{chain[0].subject}" has signed itself.',
            [by, way],
            _advice(inspector),
        )
    if seen and wrong == "unknown":
        known = f"its issuer, {seen}, is not known here."
        return _error(
            f"The certificate of {place} is not trusted: {known}", [by, way], _advice(inspector)
        )
    said = " ".join(_plain(reason, 300).split()).rstrip(".")
    return _error(
        f"The certificate of {place} is not trusted: {said}.",
        [issued or "Neither the system's store nor a named CA file vouches for it.", by, way],
        _advice(inspector),
    )


def _advice(inspector: str | None) -> str:
    where = "save its CA certificate as a file (who runs it, or a browser's settings, has it)"
    if inspector == "mitmproxy":
        where = "its CA certificate is ~/.mitmproxy/mitmproxy-ca-cert.pem of who runs it"
    return f"If you trust who inspects TLS: {where}; then --ca FILE, or: export {CA_VARIABLE}=FILE"


def _name(name: "x509.Name") -> str:
    """Return common name and organisation, else all of it."""
    from cryptography.x509.oid import NameOID

    parts: list[str] = []
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind)[:1]:
            value = attribute.value
            text = _plain(value if isinstance(value, str) else value.decode("latin-1"))
            if text and text not in parts:
                parts.append(text)
    return ", ".join(parts) or _plain(name.rfc4514_string()) or "nobody"


def _hosts(read: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = found.get_values_for_type(x509.DNSName)
    addresses = found.get_values_for_type(x509.IPAddress)
    return tuple(_plain(str(one)) for one in [*names, *addresses])


def _plain(text: str, longest: int = _LONGEST) -> str:
    """Return a text of unknown making without what a terminal would obey."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    kept = " ".join(kept.replace('"', "'").split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def _few(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - _NAMES} more" if len(hosts) > _NAMES else ""
    return ", ".join(hosts[:_NAMES]) + more if hosts else "none at all"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _error(what: str, why: Sequence[str], next_step: str) -> NetworkError:
    reasons = " ".join(part for part in why if part)
    return NetworkError(what, why=reasons, next_step=next_step, kind="untrusted")
