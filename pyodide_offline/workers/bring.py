"""Official bundles that a user brings: a file, a folder of files, or a URL.

Which file is which is told by its digest, so names do not matter. Where a binary carries no
digest, the name must be the bundle's own and the content at least a bundle.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyodide_offline import digest as digests
from pyodide_offline import redact
from pyodide_offline.errors import IntegrityError, NetworkError, ProjectError
from pyodide_offline.session import Session
from pyodide_offline.store import Provenance
from pyodide_offline.workers import supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied

# Where a site's own addresses lead for files.
_STORES = {"github.com": ("githubusercontent.com",)}


def bring(session: Session, source: str, wants: Sequence[Want]) -> list[Supplied]:
    """Take over each file that is one of the wanted bundles.

    Raises ProjectError if there is nothing at the source, IntegrityError if none of it is
    wanted, NetworkError and OfflineError for a URL.
    """
    with _files(session, source) as files:
        found = [
            _kept(session, file, want, source)
            for file in files
            for want in [_recognised(file, wants)]
            if want is not None
        ]
        if found:
            return found
    counted = "The file is not" if len(files) == 1 else f"None of the {len(files)} files is"
    wanted = ", ".join(
        f"{want.file_name} ({want.digest.sri if want.digest else 'no digest carried'})"
        for want in wants
    )
    raise IntegrityError(
        f"{counted} a bundle that this workerd asks for: {redact.url(source)}",
        why=f"It asks for {wanted}.",
        next_step="Bring the bundle of this release of workerd: each release has its own.",
    )


def _recognised(file: Path, wants: Sequence[Want]) -> Want | None:
    digest = digests.of_file(file)
    for want in wants:
        if want.digest == digest:
            return want
        if want.digest is None and file.name == want.file_name:
            from pyodide_offline.workers import bundle

            # A damaged one would stop every start, and this workerd does not look.
            if not bundle.decode(file.read_bytes()):
                raise IntegrityError(f"{file.name} is a bundle without modules.")
            return want
    return None


def _kept(session: Session, file: Path, want: Want, source: str) -> Supplied:
    def produce(target: Path) -> Provenance:
        shutil.copyfile(file, target)
        return supply.official_provenance(want, redact.url(source))

    entry = session.store.fill(
        supply.KIND, want.bundle_id, produce, expected=want.digest, replace=True
    )
    return Supplied(want, entry, want.bundle_id, ())


@contextmanager
def _files(session: Session, source: str) -> Iterator[list[Path]]:
    if urlsplit(source).scheme in ("http", "https"):
        with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as name:
            target = Path(name) / (unquote(urlsplit(source).path).rsplit("/", 1)[-1] or "bundle")
            _download(session, source, target)
            yield [target]
        return
    path = Path(source).expanduser()
    if path.is_dir():
        files = [one for one in sorted(path.iterdir()) if one.is_file()]
        if not files:
            raise ProjectError(
                f"There are no files in {path}.",
                next_step="Name a bundle, a folder of them, or an http(s) URL.",
            )
        yield files
    elif path.is_file():
        yield [path]
    else:
        raise ProjectError(
            f"There is no file or folder {path}.",
            next_step="Name a bundle, a folder of them, or an http(s) URL.",
        )


def _download(session: Session, url: str, target: Path) -> None:
    from pyodide_offline.network import fetch

    try:
        fetch.download(
            session,
            url,
            target,
            label="Pyodide bundle",
            digest=None,
            max_bytes=supply.LIMIT,
            hosts=_STORES.get(urlsplit(url).hostname or "", ()),
        )
    except fetch.HttpStatusError as error:
        raise NetworkError(
            f"{error.host} answered {error.status} for {error.url}.",
            next_step="Check the address that --from names.",
        ) from error
