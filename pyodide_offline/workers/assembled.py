"""A bundle assembled from npm's Pyodide for exactly one binary, date and set of flags."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.errors import RegistryError, UnsupportedError
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import Entry, Provenance
from pyodide_offline.workers import glue
from pyodide_offline.workers.probe import Want

KIND = "bundle"
SOURCE = "npm"
# By Python, the Pyodide on npm that the rewrites were tried with: what `--python` prefers
# where a binary offers several. Without it the binary alone says which one it wants.
PYODIDES = {"3.13": "0.28.2", "3.14": "314.0.6"}

Npm = Callable[[], Sequence[str] | None]


@dataclass(frozen=True)
class Fitted:
    """A bundle in the store, and how the binary takes it (see ``interface.Interface``)."""

    entry: Entry
    bundle_id: str
    flags: tuple[str, ...]
    archives: tuple[str, ...]


def find(session: Session, want: Want) -> Fitted | None:
    """Return what was made and tried before; no request, no lock, nothing started."""
    known = session.store.memo("assembled", _key(want))
    if not isinstance(known, dict):
        return None
    entry = session.store.find(KIND, known["entry"])
    if entry is None:
        return None
    return Fitted(entry, known["id"], tuple(known["flags"]), tuple(known["archives"]))


def was_made(session: Session, want: Want) -> bool:
    """Say whether this bundle was made for the same binary, if for another date or flags."""
    return session.store.memo("assembled-id", _bundle_key(want)) is True


def make(
    session: Session,
    want: Want,
    binary: Path,
    date: str,
    flags: Sequence[str],
    npm: Npm,
    *,
    renew: bool,
) -> Fitted:
    """Assemble the Pyodide of a bundle in the form that the binary imports, and see it start.

    Raises RegistryError, AssemblyError, UnsupportedError, WorkerdError.
    """
    from pyodide_offline.distribution import npm as packages
    from pyodide_offline.workers import assembly, interface

    version = want.pyodide
    try:
        tarball = packages.tarball(session, "pyodide", version, npm=npm())
    except RegistryError as error:
        raise RegistryError(
            f"Neither the official bundle nor npm's pyodide {version} can be had.",
            why=error.what if not error.why else f"{error.what} {error.why}",
            next_step=error.next_step,
        ) from error
    found = interface.ask(session.store, binary, want, date, flags)

    def made(public_version: str) -> Entry:
        def produce(target: Path) -> Provenance:
            with working(session.progress, f"Assembling Pyodide {version}"):
                content = assembly.from_package(
                    tarball.path, version=version, public_version=public_version, form=found.form
                )
                target.write_bytes(content.content)
            return {
                "source": SOURCE,
                "pyodide": version,
                "python": content.python,
                "lacks": list(content.lacks),
                "public_version": public_version,
                "form": found.form,
                "rewrites": content.counts,
                "rules": glue.revision(),
                "package": dict(tarball.provenance),
            }

        name = f"assembled-{version}-as-{public_version}-{found.form}-{glue.revision()}"
        return session.store.fill(KIND, name, produce, replace=renew)

    public = interface.known_version(session.store, binary, version, found)
    entry = made(public or version)
    if public is None:
        with working(session.progress, f"Starting Pyodide {version} once in workerd"):
            public = interface.start(binary, entry.path, found, date, flags)
            if public is not None:
                session.store.remove(entry)
                entry = made(public)
                if (
                    expected := interface.start(binary, entry.path, found, date, flags)
                ) is not None:
                    raise UnsupportedError(
                        "This workerd does not take the assembled bundle.",
                        why=f"It expects Pyodide {expected}.",
                        next_step="Use the official bundle: --bundle official",
                    )
        interface.remember_version(session.store, binary, version, found, public or version)
    remembered = {
        "entry": entry.name,
        "id": found.bundle_id,
        "flags": found.flags,
        "archives": found.archives,
    }
    session.store.remember("assembled", _key(want), remembered)
    session.store.remember("assembled-id", _bundle_key(want), value=True)
    return Fitted(entry, found.bundle_id, found.flags, found.archives)


def _key(want: Want) -> str:
    """Name the question that a bundle was made for: the rules are part of it."""
    return f"{want.question}-{glue.revision()}"


def _bundle_key(want: Want) -> str:
    binary, _, _ = want.question.partition("-")
    return f"{binary}-{want.bundle_id}-{glue.revision()}"
