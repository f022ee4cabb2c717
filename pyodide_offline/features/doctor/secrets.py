"""Which texts on this machine are secrets, so that none of them leaves it in a report.

Patterns (``redact``) find a password where something names it as one. What is written where
passwords are kept is looked up here and taken out wherever it stands.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from pyodide_offline import redact

_NAMED = re.compile(r"token|secret|passw|credential|api_?key|auth|private", re.IGNORECASE)
_USERINFO = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/\s'\"?#@]*)@")
_NPM = re.compile(r"(?:_authToken|_auth|_password|//[^=]*:username)\s*=\s*\"?([^\s\"]+)")
_QUERY = re.compile(r"[?&][^=&\s]*(?:token|sig|key|secret)[^=&\s]*=([^&\s\"']+)", re.IGNORECASE)
_SHORTEST = 4  # letters: shorter ones are words that stand everywhere


def known(environ: Mapping[str, str], project: Path) -> frozenset[str]:
    """Return what must not be seen: of variables, URLs, .npmrc, .netrc, pip.conf and uv.toml."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    found: set[str] = set()
    for name, value in environ.items():
        if _NAMED.search(name) and not Path(value).is_absolute():
            found.add(value)
        found.update(_in_text(value))
    for file in _files(environ, home, project):
        with suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="replace")
            found.update(_in_text(text))
            found.update(_NPM.findall(text))
            if file.name in (".netrc", "_netrc"):
                found.update(_netrc(text))
            else:
                found.update(_settings(text))
    return frozenset(form for one in found for form in _forms(one) if len(form) >= _SHORTEST)


def scrub(text: str, secrets: frozenset[str], home: str = "") -> str:
    """Return the text without these, without what looks like one, and the home folder as ~."""
    for one in sorted(secrets, key=len, reverse=True):
        text = text.replace(one, redact.HIDDEN)
    text = redact.text(text)
    return text.replace(home, "~") if len(home) > 1 else text


def _files(environ: Mapping[str, str], home: Path, project: Path) -> Iterator[Path]:
    for folder in (project, *project.parents):
        yield folder / ".npmrc"
        yield folder / "uv.toml"
        yield folder / ".env"
        yield folder / ".dev.vars"
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield from (home / name for name in (".npmrc", ".netrc", "_netrc", ".pip/pip.conf", ".curlrc"))
    yield from (config / name for name in ("pip/pip.conf", "uv/uv.toml"))
    yield Path("/etc/pip.conf")
    named = ("NETRC", "PIP_CONFIG_FILE", "npm_config_userconfig", "npm_config_globalconfig")
    lower = {name.lower(): value for name, value in environ.items()}
    yield from (Path(lower[name.lower()]) for name in named if lower.get(name.lower()))


def _in_text(text: str) -> Iterator[str]:
    for userinfo in _USERINFO.findall(text):
        user, colon, password = userinfo.partition(":")
        # A token may stand in the place of the user's name.
        yield password if colon else user
        if colon and password and len(user) >= _SHORTEST:
            yield user
    yield from _QUERY.findall(text)


def _netrc(text: str) -> Iterator[str]:
    words = text.split()
    for place, word in enumerate(words[:-1]):
        if word in ("password", "login", "account"):
            yield words[place + 1].strip('"')


def _settings(text: str) -> Iterator[str]:
    """Yield values of lines whose names tell of a secret, in ini, toml and dotenv files."""
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if value and _NAMED.search(name):
            yield value.strip().strip("\"'")


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as it stands in URLs, and as base64."""
    plain = unquote(secret)
    yield from (secret, plain, quote(plain, safe=""))
    yield base64.b64encode(plain.encode()).decode().rstrip("=")
