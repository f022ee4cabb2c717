"""Whom TLS trusts: the system's store, and the CA files and folders that the user has named.

Named are those of --ca (which is PYODIDE_OFFLINE_CA) and those that the user's tools already
know: OpenSSL's SSL_CERT_FILE and SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, pip's
PIP_CERT, npm's cafile, Node's NODE_EXTRA_CA_CERTS. All are added to the system's; on Linux
SSL_CERT_FILE stands in for the system's file, as everywhere. Certificates are always
checked: what switches that off elsewhere (OFF) is not followed.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline.network import authorities
from pyodide_offline.paths import CA_VARIABLE

if TYPE_CHECKING:
    import ssl

Note = Callable[[str], None]
OPTION = "--ca"
# Those that hold several paths, as PATH does.
_LISTS = (CA_VARIABLE, "SSL_CERT_DIR")
VARIABLES = (
    CA_VARIABLE,
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "npm_config_cafile",
    "NODE_EXTRA_CA_CERTS",
)
# What switches the checks off in Node, npm, pip and Python: the value that does it, or any.
OFF: Mapping[str, str | None] = {
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "npm_config_strict_ssl": "false",
    "PIP_TRUSTED_HOST": None,
    "PYTHONHTTPSVERIFY": "0",
}
_LARGEST = 16 << 20  # bytes of a file
_MOST = 2000  # files of a folder
_noted: set[str] = set()


@dataclass(frozen=True)
class Source:
    """A CA file or folder, and the variable or option that names it."""

    path: Path
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.path} of {self.origin}" if self.origin else str(self.path)


def sources(environ: Mapping[str, str]) -> list[Source]:
    """Return what the environment names, in the order of VARIABLES, each path once."""
    found: dict[Path, Source] = {}
    for name in VARIABLES:
        value = environ.get(name) or _npm(environ, name)
        for part in value.split(os.pathsep) if name in _LISTS else [value]:
            if part:
                path = Path(part).expanduser()
                found.setdefault(path, Source(path, OPTION if name == CA_VARIABLE else name))
    return list(found.values())


def read(path: Path) -> tuple[list[bytes], str]:
    """Return the certificates of a file or a folder in DER, and what is wrong with it, if so.

    Only those that OpenSSL takes.
    """
    found, problem = _contents(path)
    usable = found if not found or _loads(found) else [one for one in found if _loads([one])]
    if found and not usable:
        return [], "no certificate in it"
    broken = len(found) - len(usable)
    return usable, f"{broken} of its certificates cannot be read" if broken else problem


def context(
    environ: Mapping[str, str], extra: Sequence[Path] = (), *, note: Note
) -> "ssl.SSLContext":
    """Return a client context that checks certificates and names.

    A file that cannot be used is left out with a line to ``note``, as Node does it: a
    stale variable must not stop what the system's store can verify.
    """
    import ssl

    import truststore

    made: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    named = {source.path: source for source in [*sources(environ), *map(Source, extra)]}
    theirs = _by_openssl()
    contents = {one: _contents(one.path) for one in named.values() if one.path not in theirs}
    added = dict.fromkeys(der for found, _ in contents.values() for der in found)
    try:
        if added:
            made.load_verify_locations(cadata=b"".join(added))
    except ssl.SSLError:
        contents = {source: read(source.path) for source in contents}
        for found, _ in contents.values():
            if found:
                made.load_verify_locations(cadata=b"".join(found))
    for source, (found, problem) in contents.items():
        if problem:
            left_out(source, problem, note, whole=not found)
    for sentence in not_followed(environ):
        once(note, sentence)
    return made


def left_out(source: Source, problem: str, note: Note, *, whole: bool = True) -> None:
    """Say once that a file, or a part of it, is not used."""
    if whole:
        once(note, f"The CA file {source} is left out: {problem}.")
    else:
        once(note, f"The CA file {source} is used in part: {problem}.")


def not_followed(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that switches the checks off elsewhere."""
    found = []
    for name, value in OFF.items():
        said = environ.get(name) or _npm(environ, name)
        if said and value in (None, said.strip().lower()):
            found.append(unfollowed(name))
    return found


def unfollowed(what: str) -> str:
    """Return the sentence for a setting that switches the checks off elsewhere."""
    return (
        f"{what} is not followed: pyodide-offline checks certificates. "
        f"To trust a CA, name its file: {OPTION} FILE"
    )


def once(note: Note, sentence: str) -> None:
    """Say a sentence the first time in this process."""
    if sentence not in _noted:
        _noted.add(sentence)
        note(sentence)


def _by_openssl() -> set[Path]:
    """Return what OpenSSL reads by itself, so that it is not read twice."""
    import ssl

    if sys.platform in ("win32", "darwin"):
        return set()
    paths = ssl.get_default_verify_paths()  # these exist
    return {Path(one) for one in (paths.cafile, paths.capath) if one}


def _contents(path: Path) -> tuple[list[bytes], str]:
    """Return what looks like certificates in a file or a folder, and what is wrong."""
    try:
        if path.is_dir():
            files = [one for one in sorted(path.iterdir())[:_MOST] if _readable(one)]
            held = (authorities.read(one.read_bytes()).certificates for one in files)
            found = list(dict.fromkeys(der for ders in held for der in ders))
            return found, "" if found else "no certificate in this folder"
        if not path.exists():
            return [], "No such file or directory"
        if not _readable(path):
            return [], "not a file of certificates"
        read = authorities.read(path.read_bytes())
    except OSError as error:
        return [], error.strerror or str(error)
    if not read.certificates:
        return [], "no certificate in it"
    broken = f"{read.broken} of its certificates cannot be read" if read.broken else ""
    return list(read.certificates), broken


def _readable(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _LARGEST


def _loads(certificates: Sequence[bytes]) -> bool:
    import ssl

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=b"".join(certificates))
    except ssl.SSLError:
        return False
    return True


def _npm(environ: Mapping[str, str], name: str) -> str:
    """Return a variable of npm's, which may be in any case."""
    if not name.startswith("npm_config_"):
        return ""
    return next((value for key, value in environ.items() if key.lower() == name), "")
