"""The bundle that a worker needs, from the cheapest allowed source.

In this order, and the first that holds it wins: the official bundle in the store or
brought by hand into the cache folder, an assembled one in the store, the official one
from the network, one assembled from npm.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    RegistryError,
    UnsupportedError,
)
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import Entry, Provenance
from pyodide_offline.workers import glue, probe
from pyodide_offline.workers.probe import Want

KIND = "bundle"
OFFICIAL = "official"
NPM = "npm"
AUTO = "auto"
_LIMIT = 256 << 20
# Which Python is in an official bundle, whose message is not opened: by Pyodide's own releases.
_PYTHON_SERIES = {"0.26": "3.12", "0.28": "3.13", "314": "3.14"}

Npm = Callable[[], Sequence[str] | None]


@dataclass(frozen=True)
class Supplied:
    """A bundle in the store, and how workerd has to be told of it.

    ``flags`` are compatibility flags that the worker needs so that workerd takes it.
    """

    want: Want
    entry: Entry
    bundle_id: str
    flags: tuple[str, ...]

    @property
    def assembled(self) -> bool:
        """Whether it was made here from npm's package."""
        return self.bundle_id == probe.DEVELOPMENT_ID

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

    def sentence(self) -> str:
        """Say in one line what runs."""
        origin = "assembled from npm" if self.assembled else "official bundle"
        return f"Python {self.python}, Pyodide {self.pyodide}, {origin} ({self.entry.digest.short})"


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
        expected = session.store.memo("assembled", _assembled_key(want))
        entry = session.store.find(KIND, str(expected)) if expected else None
        if entry:
            return Supplied(want, entry, probe.DEVELOPMENT_ID, (probe.DEVELOPMENT_FLAG,))
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
) -> Supplied:
    """Return the bundle for a worker of this date and flags, fetched or made if need be.

    ``npm`` gives the command of the user's npm when its registry has to be asked;
    ``renew`` makes a damaged entry again. Raises what fetching and assembling raise.
    """
    want = probe.want(session.store, binary, date, flags)
    if not renew:
        found = find(session, want, policy) or _by_hand(session, want, policy)
        if found:
            return found
    if policy != NPM:
        try:
            return _official(session, want, renew=renew)
        except (NetworkError, IntegrityError, OfflineError) as error:
            if policy == OFFICIAL:
                raise
            if not isinstance(error, OfflineError):
                session.progress.note(f"The official bundle cannot be had: {error.what}")
    # All of it under one lock: finding out which version workerd takes needs several fills.
    with session.store.exclusive(f"assembly-{want.pyodide}"):
        found = None if renew else find(session, want, policy)
        return found or _assembled(session, want, binary, date, flags, npm, renew=renew)


def _by_hand(session: Session, want: Want, policy: str) -> Supplied | None:
    """Take over an official bundle that a user brought into the cache folder."""
    if policy == NPM or want.digest is None:
        return None
    candidate = session.cache_dir / want.file_name
    with suppress(OSError):
        if digests.of_file(candidate) == want.digest:
            provenance = _official_provenance(want, f"file {candidate.name} in the cache folder")
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
        from pyodide_offline.network import fetch

        try:
            fetch.download(
                session,
                want.url,
                target,
                label=f"Pyodide bundle {want.bundle_id}",
                digest=want.digest,
                max_bytes=_LIMIT,
            )
        except fetch.HttpStatusError as error:
            raise NetworkError(
                f"{error.host} answered {error.status} for bundle {want.bundle_id}.",
                next_step=f"Bring {want.file_name} into {session.cache_dir} by hand, "
                "or use --bundle npm.",
            ) from error
        return _official_provenance(want, want.url)

    entry = session.store.fill(KIND, want.bundle_id, produce, expected=want.digest, replace=renew)
    return Supplied(want, entry, want.bundle_id, ())


def _official_provenance(want: Want, origin: str) -> Provenance:
    return {
        "source": OFFICIAL,
        "from": origin,
        "pyodide": want.pyodide,
        "digest": str(want.digest) if want.digest else "not carried by this workerd",
    }


def _assembled(
    session: Session,
    want: Want,
    binary: Path,
    date: str,
    flags: Sequence[str],
    npm: Npm,
    *,
    renew: bool,
) -> Supplied:
    from pyodide_offline.distribution import npm as packages
    from pyodide_offline.workers import assembly

    version = want.pyodide
    if version.startswith("0.26."):
        raise UnsupportedError(
            f"A worker of date {date} runs on Python 3.12 (Pyodide {version}), "
            "which npm does not have.",
            why=f"It needs the official bundle {want.file_name}.",
            next_step=f"Bring that file into {session.cache_dir}, "
            "or set compatibility_date to 2025-09-29 or later.",
        )
    try:
        tarball = packages.tarball(session, "pyodide", version, npm=npm())
    except RegistryError as error:
        raise RegistryError(
            f"Neither the official bundle nor npm's pyodide {version} can be had.",
            why=error.what if not error.why else f"{error.what} {error.why}",
            next_step=error.next_step,
        ) from error

    def make(public_version: str) -> Entry:
        def produce(target: Path) -> Provenance:
            with working(session.progress, f"Assembling Pyodide {version}"):
                made = assembly.from_package(
                    tarball.path, version=version, public_version=public_version
                )
                target.write_bytes(made.content)
            return {
                "source": NPM,
                "pyodide": version,
                "python": made.python,
                "public_version": public_version,
                "rewrites": made.counts,
                "rules": glue.revision(),
                "package": dict(tarball.provenance),
            }

        name = f"assembled-{version}-as-{public_version}-{glue.revision()}"
        return session.store.fill(KIND, name, produce, replace=renew)

    entry = make(version)
    with working(session.progress, f"Starting Pyodide {version} once in workerd"):
        public = probe.development_version(session.store, binary, entry.path, version, date, flags)
        if public != version:
            session.store.remove(entry)
            entry = make(public)
            _must_start(binary, entry, date, flags)
    session.store.remember("assembled", _assembled_key(want), entry.name)
    return Supplied(want, entry, probe.DEVELOPMENT_ID, (probe.DEVELOPMENT_FLAG,))


def _must_start(binary: Path, entry: Entry, date: str, flags: Sequence[str]) -> None:
    expected = probe.start(binary, entry.path, date, flags)
    if expected is not None:
        raise UnsupportedError(
            "This workerd does not take the assembled bundle.",
            why=f"It expects Pyodide {expected}.",
            next_step="Use the official bundle: --bundle official",
        )


def _assembled_key(want: Want) -> str:
    """Name what an assembled bundle stands in for: the rules are part of it."""
    digest: Digest | None = want.digest
    return f"{want.bundle_id}-{digest.short if digest else 'any'}-{glue.revision()}"
