"""Digest login (RFC 7616) at a proxy: MD5 and SHA-256, also -sess; qop auth and none.

A request that carries no body needs no auth-int. userhash (§3.4.4) is optional for the
client and left out.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from urllib.parse import quote

from pyodide_offline.network.challenges import Challenge

# Digests of the protocol, not of anything that we keep.
_HASHES: dict[str, Callable[[bytes], str]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
}


def fits(challenge: Challenge) -> bool:
    """Say whether this challenge can be answered."""
    qop = challenge.get("qop")
    return (
        challenge.scheme == "digest"
        and _algorithm(challenge)[0] in _HASHES
        and bool(challenge.get("nonce"))
        and (qop is None or "auth" in _listed(qop))
    )


def strongest(offered: Sequence[Challenge]) -> list[Challenge]:
    """Return the challenges that can be answered, SHA-256 first (§3.7: several may come)."""
    able = [one for one in offered if fits(one)]
    return sorted(able, key=lambda one: _algorithm(one)[0] != "sha-256")


class Digest:
    """One login; ``method`` and ``target`` are those of the request line."""

    scheme = "digest"
    same_connection = False

    def __init__(self, user: str, password: str, target: str, method: str = "CONNECT") -> None:
        self._method = method
        self._user = user
        self._password = password
        self._target = target
        self._count = 0
        self.proved = False

    def step(self, challenge: Challenge) -> str | None:
        """Answer; a second time only where the proxy says that its nonce was too old (§3.3)."""
        stale = (challenge.get("stale") or "").lower() == "true"
        if self._count and not (stale and self._count == 1):
            return None
        self._count += 1
        self.proved = True
        return "Digest " + ", ".join(
            f"{name}={value}" for name, value in self._fields(challenge, secrets.token_hex(16))
        )

    def _fields(self, challenge: Challenge, cnonce: str) -> list[tuple[str, str]]:
        name, session = _algorithm(challenge)
        digest = _HASHES[name]
        realm, nonce = challenge.get("realm") or "", challenge.get("nonce") or ""
        wants_utf8 = (challenge.get("charset") or "").lower() == "utf-8"
        qop, count = challenge.get("qop"), "00000001"  # a nonce is used once

        secret = digest(_bytes(f"{self._user}:{realm}:{self._password}", utf8=wants_utf8))
        if session:
            secret = digest(f"{secret}:{nonce}:{cnonce}".encode())
        request = digest(f"{self._method}:{self._target}".encode())
        middle = f"{nonce}:{count}:{cnonce}:auth" if qop is not None else nonce
        fields = [
            self._username(utf8=wants_utf8),
            ("realm", _quoted(realm)),
            ("nonce", _quoted(nonce)),
            ("uri", _quoted(self._target)),
            ("response", _quoted(digest(f"{secret}:{middle}:{request}".encode("latin-1")))),
        ]
        if algorithm := challenge.get("algorithm"):
            fields.append(("algorithm", algorithm))
        if (opaque := challenge.get("opaque")) is not None:
            fields.append(("opaque", _quoted(opaque)))
        if qop is not None:
            fields += [("qop", "auth"), ("nc", count), ("cnonce", _quoted(cnonce))]
        elif session:
            fields.append(("cnonce", _quoted(cnonce)))
        return fields

    def _username(self, *, utf8: bool) -> tuple[str, str]:
        if utf8 and not self._user.isascii():  # §3.4, the form of RFC 8187
            return "username*", f"UTF-8''{quote(self._user, safe='')}"
        return "username", _quoted(self._user)


def _algorithm(challenge: Challenge) -> tuple[str, bool]:
    """Return the hash and whether it is a -sess form; MD5 where none is named (§3.3)."""
    name = (challenge.get("algorithm") or "MD5").lower()
    return name.removesuffix("-sess"), name.endswith("-sess")


def _listed(qop: str) -> list[str]:
    return [one.strip().lower() for one in qop.split(",")]


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _bytes(text: str, *, utf8: bool) -> bytes:
    """Encode as §4 has it: UTF-8 when the proxy says so, else Latin-1 where that can do it."""
    if not utf8:
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            pass
    return text.encode()
