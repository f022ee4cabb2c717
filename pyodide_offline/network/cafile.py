"""One CA file for all programs that we start: the system's authorities and the user's.

Each program reads another variable, and most take the file in place of what they knew.
So once the user has named a CA anywhere, all of them get one file with everything: each
certificate checked and written anew, since one that a parser dislikes has stopped workerd,
and expired ones left out. It lies in the store under the digest of its content; a small
index says which one belongs to unchanged files, so that a later start reads no certificate.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import SettingsError, StorageError
from pyodide_offline.network import authorities, trust
from pyodide_offline.network.trust import Note, Source
from pyodide_offline.paths import CA_VARIABLE
from pyodide_offline.store import LAYOUT, Store

FOLDER = "trust"
# OpenSSL and with it workerd and Python; Node; npm; pip; requests; curl. uv reads the first.
VARIABLES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_FORM = "1"  # of the file; another one makes all anew
_KEPT = 16  # files and index entries each
# Where the system's authorities are in one file, by distribution (Debian, Fedora, SUSE, Alpine).
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def environment(
    store: Store, environ: Mapping[str, str], note: Note, extra: Sequence[Source] = ()
) -> dict[str, str]:
    """Return the environment in which all programs trust the same authorities.

    ``extra`` are the CA files of npm's and pip's settings. Unchanged where no CA is named.
    Raises SettingsError for a file of --ca that cannot be used, StorageError.
    """
    named = {source.path: source for source in [*trust.sources(environ), *extra]}
    if not named or (file := merged(store, list(named.values()), note)) is None:
        return dict(environ)
    kept = {key: value for key, value in environ.items() if key.lower() != "npm_config_cafile"}
    return {**kept, **dict.fromkeys(VARIABLES, str(file))}


def merged(store: Store, named: Sequence[Source], note: Note) -> Path | None:
    """Return the file for these sources, made if it is not there; None if none has a use.

    Raises SettingsError, StorageError.
    """
    folder = store.root / LAYOUT / FOLDER
    index = folder / "index" / _key(named)
    with suppress(OSError):
        file = folder / index.read_text(encoding="ascii").strip()
        if file.is_file():
            return file
    users = list(_usable(named, note))
    if not users:
        return None
    data = authorities.pem([*system(), *users])
    file = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.pem"
    if not file.is_file():
        disk.write_whole(file, data)
    disk.write_whole(index, f"{file.name}\n".encode("ascii"))
    for one in (folder, index.parent):
        _prune(one)
    return file


def system() -> list[bytes]:
    """Return the system's authorities as OpenSSL knows them, certifi's where there are none."""
    import ssl

    paths = ssl.get_default_verify_paths()
    for place in (paths.openssl_cafile, *_SYSTEM, paths.openssl_capath):
        found, _ = trust.read(Path(place)) if place else ([], "")
        if found:
            return [one for one in found if not authorities.unsound(one)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()  # Windows' stores
    if found := context.get_ca_certs(binary_form=True):
        return [one for one in found if not authorities.unsound(one)]
    import certifi

    return trust.read(Path(certifi.where()))[0]


def _usable(named: Sequence[Source], note: Note) -> Iterator[bytes]:
    for source in named:
        found, problem = trust.read(source.path)
        if source.origin == trust.OPTION and not found:
            raise SettingsError(
                f"The CA file {source.path} cannot be used: {problem}.",
                next_step=f"Name a PEM or DER file, or a folder of them, in {trust.OPTION}, "
                f"{CA_VARIABLE} or the setting ca.",
            )
        if problem:
            trust.left_out(source, problem, note, whole=not found)
        reasons = [authorities.unsound(one) for one in found]
        yield from (one for one, reason in zip(found, reasons, strict=True) if not reason)
        if found and all(reasons):  # old roots are in every public list: no word on a part
            kinds = " or ".join(dict.fromkeys(reasons))
            trust.left_out(source, f"what it holds is {kinds}", note)


def _key(named: Sequence[Source]) -> str:
    """Return a name for these files as they are now: paths, times and sizes."""
    seen = [_FORM]
    for source in [*(Source(Path(one)) for one in _SYSTEM), *named]:
        seen.append(str(source))
        with suppress(OSError):
            found = source.path.stat()
            seen.append(f"{found.st_mtime_ns} {found.st_size} {found.st_ino}")
            if source.path.is_dir():
                seen += [f"{one.name} {one.stat().st_mtime_ns}" for one in _listed(source.path)]
    return hashlib.sha256("\n".join(seen).encode(errors="surrogateescape")).hexdigest()[:32]


def _listed(folder: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as found:
        return sorted((one for one in found if one.is_file()), key=lambda one: one.name)


def _prune(folder: Path) -> None:
    """Keep the newest; a file that is gone is made again when it is wanted."""
    with suppress(OSError, StorageError):
        files = [one for one in folder.iterdir() if one.is_file() and one.name[0] != "."]
        files.sort(key=lambda one: one.stat().st_mtime, reverse=True)
        for one in files[_KEPT:]:
            one.unlink()
