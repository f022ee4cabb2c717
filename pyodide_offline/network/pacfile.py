"""The user's PAC file: read from disk or fetched, and asked, with names looked up for it.

- It is fetched past every proxy, once a process. Its encoding is what the server says,
  else what its first bytes say, else UTF-8, else Windows-1252: such files are old.
- A server that does not answer is not the end: the network may be another one today.
"""

import codecs
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyodide_offline import redact
from pyodide_offline.errors import SettingsError
from pyodide_offline.network import pac, trust
from pyodide_offline.network.proxies import Upstream

SECONDS = 5.0  # for the fetch, and for one look-up
LONGEST = 1 << 20  # bytes
_ROUNDS = 8  # runs of the script, each with more names known
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreachablePacError(Exception):
    """The server of a PAC file does not give it; the text says why."""


@dataclass(frozen=True)
class PacFile:
    """A script and where it is from, without a login."""

    script: str
    origin: str

    def upstreams(self, scheme: str, host: str, port: int) -> list[Upstream]:
        """Return the proxies for a target. Raises SettingsError for a script that is broken."""
        known: dict[str, list[str]] = {}
        mine = _own_addresses()
        outcome = pac.Outcome()
        for _ in range(_ROUNDS):
            machine = pac.Machine(known, mine, time.time() * 1000)
            url = pac.shown(scheme, host, port)
            outcome = pac.run(self.script, url, host, machine, self.origin)
            if not outcome.missing:
                break
            known |= {name: _look_up(name) for name in outcome.missing}
        return pac.read(outcome.answer, self.origin)


_FETCHED: dict[str, PacFile] = {}
_LOCK = threading.Lock()


def load(source: str, environ: Mapping[str, str]) -> PacFile:
    """Return the PAC file of a path or a URL.

    Raises UnreachablePacError for a server's trouble, SettingsError for a file's.
    """
    with _LOCK:
        if source not in _FETCHED:
            _FETCHED[source] = PacFile(
                _text(*_bytes(source, environ)), f"The PAC file {redact.url(source)}"
            )
        return _FETCHED[source]


def _bytes(source: str, environ: Mapping[str, str]) -> tuple[bytes, str]:
    parts = urlsplit(source)
    if parts.scheme in ("http", "https"):
        return _fetch(source, environ)
    path = Path(unquote(parts.path) if parts.scheme == "file" else source).expanduser()
    try:
        return path.read_bytes(), ""
    except OSError as error:
        raise SettingsError(
            f"The PAC file {path} cannot be read: {error.strerror or error}.",
            next_step="Name a file or an http(s) address: --pac",
        ) from error


def _fetch(source: str, environ: Mapping[str, str]) -> tuple[bytes, str]:
    import urllib.request
    from http.client import HTTPException

    context = trust.context(environ, note=lambda _: None)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(source, timeout=SECONDS) as response:
            content = response.read(LONGEST + 1)
            charset = response.headers.get_content_charset("")
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UnreachablePacError(redact.text(str(reason))) from error
    if len(content) > LONGEST:
        raise UnreachablePacError(f"it is longer than {LONGEST >> 20} MiB")
    return content, charset


def _text(content: bytes, charset: str) -> str:
    marked = [encoding for mark, encoding in _BOMS if content.startswith(mark)]
    for encoding in [*marked, *([charset] if charset else []), "utf-8", "cp1252"]:
        try:
            return content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("latin-1")


def _look_up(name: str) -> list[str]:
    """Return a name's addresses, none where the system does not answer in time."""
    found: list[str] = []

    def work() -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(one[4][0]) for one in answers))

    # A thread that is left behind: nothing ends a look-up of the system's.
    thread = threading.Thread(target=work, name="pac lookup", daemon=True)
    thread.start()
    thread.join(SECONDS)
    return list(found)


def _own_addresses() -> list[str]:
    """Return the addresses that this machine would send from; no packet is sent for it."""
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found
