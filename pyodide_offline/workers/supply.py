"""The bundle that a worker needs, from the cheapest allowed source.

In this order, and the first that holds it wins: the official bundle in the store or
brought by hand into the cache folder, an assembled one in the store, the official one
from the network, one assembled from npm.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from pyodide_offline import digest as digests
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    UnsupportedError,
)
from pyodide_offline.session import Session
from pyodide_offline.store import Entry, Provenance
from pyodide_offline.workers import assembled, probe
from pyodide_offline.workers.assembled import Fitted
from pyodide_offline.workers.probe import Want

KIND = assembled.KIND
Npm = assembled.Npm
OFFICIAL = "official"
NPM = assembled.SOURCE
AUTO = "auto"
# The values of --python and --bundle, for a shim that no `run` waits for.
PYTHON_VARIABLE = "PYODIDE_OFFLINE_PYTHON_VERSION"
POLICY_VARIABLE = "PYODIDE_OFFLINE_BUNDLE"
LIMIT = 256 << 20
# Which Python is in an official bundle, whose message is not opened: by Pyodide's own releases.
_PYTHON_SERIES = {"0.26": "3.12", "0.28": "3.13", "314": "3.14"}


@dataclass(frozen=True)
class Supplied:
    """A bundle in the store, and how workerd has to be told of it.

    ``flags`` are compatibility flags that the worker needs so that workerd takes it;
    ``archives`` are packages that workerd would download at start, were there no empty ones.
    """

    want: Want
    entry: Entry
    bundle_id: str
    flags: tuple[str, ...]
    archives: tuple[str, ...] = ()

    @property
    def assembled(self) -> bool:
        """Whether it was made here from npm's package."""
        development = self.bundle_id == probe.DEVELOPMENT_ID
        return development or self.entry.provenance.get("source") == NPM

    @property
    def file_name(self) -> str:
        """The name under which workerd looks for it in its cache folder."""
        return probe.bundle_file_name(self.bundle_id)

    @property
    def pyodide(self) -> str:
        """The Pyodide version that really runs."""
        return str(self.entry.provenance.get("pyodide", self.want.pyodide))

    @property
    def python(self) -> str:
        """The Python version: whole for an assembled bundle, else its series."""
        return str(self.entry.provenance.get("python") or python_series(self.want.pyodide))

    @property
    def python_series(self) -> str:
        """The Python version as far as ``3.14``."""
        return ".".join(self.python.split(".")[:2])

    @property
    def lacks(self) -> tuple[str, ...]:
        """Modules of the standard library that are not in it, as far as known."""
        return tuple(self.entry.provenance.get("lacks", ()))

    def sentence(self) -> str:
        """Say in one line what runs."""
        origin = "assembled from npm" if self.assembled else "official bundle"
        return f"Python {self.python}, Pyodide {self.pyodide}, {origin} ({self.entry.digest.short})"


def dated_series(session: Session, binary: Path, date: str, flags: Sequence[str]) -> str:
    """Return the Python that a worker's own date and flags ask for, as far as ``3.14``."""
    return python_series(probe.want(session.store, binary, date, flags).pyodide)


def python_series(pyodide: str) -> str:
    """Return ``3.14`` for a Pyodide version such as ``314.0.6``."""
    for prefix, series in _PYTHON_SERIES.items():
        if pyodide == prefix or pyodide.startswith(prefix + "."):
            return series
    if pyodide.split(".", 1)[0].isdigit() and len(pyodide.split(".", 1)[0]) == 3:
        return f"{pyodide[0]}.{pyodide[1:3]}"
    return "unknown"


def find(session: Session, want: Want, policy: str = AUTO) -> Supplied | None:
    """Return what the store already holds for this bundle; no request, no lock."""
    if policy != NPM:
        entry = session.store.find(KIND, want.bundle_id)
        if entry and want.digest in (None, entry.digest):
            return Supplied(want, entry, want.bundle_id, ())
    if policy != OFFICIAL:
        fitted = assembled.find(session, want)
        return _fitted(want, fitted) if fitted else None
    return None


def supply(
    session: Session,
    binary: Path,
    date: str,
    flags: Sequence[str],
    *,
    policy: str = AUTO,
    npm: Npm = lambda: None,
    renew: bool = False,
    python: str | None = None,
) -> Supplied:
    """Return the bundle for a worker of this date and flags, fetched or made if need be.

    ``npm`` gives the command of the user's npm when its registry has to be asked;
    ``renew`` makes a damaged entry again; ``python`` (such as ``3.14``) wants that one
    whatever the date says. Raises what fetching and assembling raise.
    """
    chosen = choosing(session, binary, date, flags, python)
    flags = probe.merged(flags, chosen)
    want = probe.want(session.store, binary, date, flags)
    supplied = _supply(session, want, binary, date, flags, policy, npm, renew=renew)
    if session.offline and want.digest is None and not supplied.assembled:
        # Releases that carry no digest download packages too, and do not start without them.
        from pyodide_offline.workers import interface

        supplied = replace(supplied, archives=tuple(interface.archives(session.store, binary)))
    return replace(supplied, flags=probe.merged(chosen, supplied.flags)) if chosen else supplied


def choosing(
    session: Session, binary: Path, date: str, flags: Sequence[str], python: str | None
) -> tuple[str, ...]:
    """Return the flags to add for another Python than the date's; none where it is the same.

    Raises UnsupportedError if no flag of the binary chooses it.
    """
    if python is None:
        return ()
    known = [version for version, series in _PYTHON_SERIES.items() if series == python]
    fits = [assembled.PYODIDES.get(python, ""), *(f"{version}." for version in known)]
    key = f"{probe.question(session.store, binary, date, flags)}-{python}"
    remembered = session.store.memo("choosing", key)
    if isinstance(remembered, list):
        return tuple(remembered)
    from pyodide_offline.workers import pythons

    found = pythons.choosing(session.store, binary, date, flags, [one for one in fits if one])
    if found is None:
        raise UnsupportedError(
            f"This workerd has no Python {python} for a worker of date {date}.",
            why=f"No flag of it chooses one ({binary}).",
            next_step="Use a newer wrangler, or leave out --python.",
        )
    session.store.remember("choosing", key, found)
    return found


def _supply(
    session: Session,
    want: Want,
    binary: Path,
    date: str,
    flags: Sequence[str],
    policy: str,
    npm: Npm,
    *,
    renew: bool,
) -> Supplied:
    if not renew:
        found = find(session, want, policy) or _by_hand(session, want, policy)
        if found:
            return found
    # Asked for by other dates or flags before, it was not to be had: no second wait for that.
    if policy != NPM and not (policy == AUTO and assembled.was_made(session, want)):
        try:
            return _official(session, want, renew=renew)
        except (NetworkError, IntegrityError, OfflineError) as error:
            if policy == OFFICIAL:
                raise
            if not isinstance(error, OfflineError):
                session.progress.note(f"The official bundle cannot be had: {error.what}")
    if want.pyodide.startswith("0.26."):
        raise UnsupportedError(
            f"A worker of date {date} runs on Python 3.12 (Pyodide {want.pyodide}), "
            "which npm does not have.",
            why=f"It needs the official bundle {want.file_name}.",
            next_step=f"Bring that file into {session.cache_dir}, set compatibility_date to "
            "2025-09-29 or later, or try the worker on another Python: --python 3.13",
        )
    # All of it under one lock: finding out which version workerd takes needs several fills.
    with session.store.exclusive(f"assembly-{want.pyodide}"):
        found = None if renew else find(session, want, policy)
        return found or _fitted(
            want, assembled.make(session, want, binary, date, flags, npm, renew=renew)
        )


def _fitted(want: Want, fitted: Fitted) -> Supplied:
    return Supplied(want, fitted.entry, fitted.bundle_id, fitted.flags, fitted.archives)


def _by_hand(session: Session, want: Want, policy: str) -> Supplied | None:
    """Take over an official bundle that a user brought into the cache folder."""
    if policy == NPM or want.digest is None:
        return None
    candidate = session.cache_dir / want.file_name
    with suppress(OSError):
        if digests.of_file(candidate) == want.digest:
            provenance = official_provenance(want, f"file {candidate.name} in the cache folder")
            return _keep_official(session, want, candidate.read_bytes(), provenance)
    return None


def _keep_official(
    session: Session, want: Want, content: bytes, provenance: Provenance
) -> Supplied:
    def produce(target: Path) -> Provenance:
        target.write_bytes(content)
        return provenance

    entry = session.store.fill(KIND, want.bundle_id, produce, expected=want.digest)
    return Supplied(want, entry, want.bundle_id, ())


def _official(session: Session, want: Want, *, renew: bool) -> Supplied:
    def produce(target: Path) -> Provenance:
        from pyodide_offline.network import fetch, mirrored

        mirror = mirrored.named(session.environ)
        url = mirror.bundle(want.url) if mirror else want.url
        try:
            fetch.download(
                session,
                url,
                target,
                label=f"Pyodide bundle {want.bundle_id}",
                digest=want.digest,
                max_bytes=LIMIT,
                headers=mirror.headers if mirror else None,
            )
        except fetch.HttpStatusError as error:
            if mirror and error.status in (401, 403):
                raise mirrored.refused(mirror, error.status) from error
            raise NetworkError(
                f"{error.host} answered {error.status} for bundle {want.bundle_id}.",
                next_step=f"Bring {want.file_name} into {session.cache_dir} by hand, "
                "or use --bundle npm.",
            ) from error
        if want.digest is None:
            _refuse_other_files(target, want)
        return official_provenance(want, url)

    entry = session.store.fill(KIND, want.bundle_id, produce, expected=want.digest, replace=renew)
    return Supplied(want, entry, want.bundle_id, ())


def _refuse_other_files(file: Path, want: Want) -> None:
    """Raise IntegrityError for what is no bundle: this workerd would not look, and not start."""
    from pyodide_offline.workers import bundle

    try:
        modules, why = bundle.decode(file.read_bytes()), "It has no modules."
    except IntegrityError as error:
        modules, why = [], error.why
    if not modules:
        raise IntegrityError(
            f"What {urlsplit(want.url).hostname} sends is no Pyodide bundle.",
            why=why,
            next_step="A proxy may have changed it: ask who runs it, or use --bundle npm.",
        )


def official_provenance(want: Want, origin: str) -> Provenance:
    """Return what is remembered of an official bundle that came from ``origin``."""
    return {
        "source": OFFICIAL,
        "from": origin,
        "pyodide": want.pyodide,
        "digest": str(want.digest) if want.digest else "not carried by this workerd",
    }
