"""uv's archives of native Pythons, for the ``.venv-workers`` of the other machine (``natives``).

uv is asked which archive it would take, fetches it, compares it with the digest that it
carries and leaves it in ``UV_PYTHON_CACHE_DIR``; from there it comes into the store as it is.
No Python of another platform is started.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyodide_offline import digest as digests
from pyodide_offline import process
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    PyodideOfflineError,
    ToolchainError,
)
from pyodide_offline.features.kit import workerside
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.locks import Pins
from pyodide_offline.features.kit.natives import INSTALL, KIND, PLAINLY
from pyodide_offline.features.kit.targets import Target
from pyodide_offline.kits.manifest import Item
from pyodide_offline.progress import working
from pyodide_offline.session import Session
from pyodide_offline.store import Entry
from pyodide_offline.workers.toolchain import programs, uv
from pyodide_offline.workers.toolchain.chain import Toolchain

_SHELF = "native-python"
_MISMATCH = "Hash mismatch"
_ELSEWHERE = (
    "Name a mirror in UV_PYTHON_INSTALL_MIRROR (https:// or file://), or pack without "
    "--native-python."
)


@dataclass(frozen=True)
class _Pinned:
    """One that uv took: ``3.14.10``, its archive's name, and its SHA-256 in hex."""

    version: str
    file: str
    sha256: str


def packed(
    session: Session, pins: Pins, tools: Toolchain, series: str, wanted: Sequence[Target]
) -> Iterator[Archive]:
    """Yield a Python of a series (``3.14``) for each target.

    Raises ProjectError where none is pinned, and what fetching raises.
    """
    assert tools.pywrangler is not None  # noqa: S101 - pack has asked for it
    uv_program, environ = tools.pywrangler.uv, cache(lambda: workerside.environment(session, tools))
    for target in wanted:
        what = f"a native Python {series} for {target.name}"
        yield _archive(pins, _Source(session, uv_program, environ, target, what), series)


@dataclass(frozen=True)
class _Source:
    """Where archives for one target come from: uv, or the store."""

    session: Session
    program: Path
    environ: Callable[[], Mapping[str, str]]
    target: Target
    what: str

    def pin(self, series: str) -> str:
        """Return the newest of a series as JSON; it is in the store then."""
        version, file = self._newest(series)
        with tempfile.TemporaryDirectory() as scratch:
            archive = self._fetched(version, Path(scratch))
            pinned = _Pinned(version, file, digests.of_file(archive).hex)
            self._fill(pinned, lambda: archive)
        return json.dumps(asdict(pinned))

    def entry(self, pinned: _Pinned) -> Entry:
        """Return the archive of a pin, fetched if the store has lost it."""
        with tempfile.TemporaryDirectory() as scratch:
            return self._fill(pinned, lambda: self._fetched(pinned.version, Path(scratch)))

    def _fill(self, pinned: _Pinned, fetch: Callable[[], Path]) -> Entry:
        def produce(place: Path) -> Mapping[str, Any]:
            shutil.copyfile(fetch(), place)
            return {"source": "uv", "file": pinned.file, "version": pinned.version}

        name = f"{pinned.sha256[:16]}-{pinned.file}"
        expected = digests.Digest("sha256", bytes.fromhex(pinned.sha256))
        return self.session.store.fill(_SHELF, name, produce, expected=expected)

    def _newest(self, series: str) -> tuple[str, str]:
        """Ask uv which one it would take; return its version and the name of its archive."""
        request = f"cpython-{series}-{self.target.python}"
        words = ["python", "list", request, "--only-downloads", "--output-format", "json"]
        done = process.capture([self.program, *words], env={**self.environ(), **PLAINLY})
        if done.status != 0:
            raise uv.failure(f"list {self.what}", done.stderr, offline=False)
        try:
            first = json.loads(done.stdout)[0]
            url = urlsplit(first["url"])
            return str(first["version"]), unquote(url.path).rpartition("/")[2]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ToolchainError(
                f"This uv knows no native Python {series} for {self.target.name}.",
                next_step="Take a newer uv, or pack without --native-python.",
            ) from error

    def _fetched(self, version: str, scratch: Path) -> Path:
        """Have uv fetch and check an archive; return where it left it."""
        if self.session.offline:
            raise OfflineError(
                f"The store has no archive of {self.what}, and nothing may be fetched.",
                next_step="Pack once without --offline, or without --native-python.",
            )
        kept = scratch / "archives"
        request = f"cpython-{version}-{self.target.python}"
        command: list[str | Path] = [
            self.program,
            *INSTALL,
            request,
            "--install-dir",
            scratch / "opened",
        ]
        environ = {**self.environ(), **PLAINLY, "UV_PYTHON_CACHE_DIR": str(kept)}
        with working(self.session.progress, self.what[:1].upper() + self.what[1:]):
            done = process.capture(command, env=environ, timeout=1800)
        found = list(kept.iterdir()) if kept.is_dir() else []
        if done.status == 0 and len(found) == 1:
            return found[0]
        raise self._failure(done.stderr or done.stdout, scratch)

    def _failure(self, output: str, scratch: Path) -> PyodideOfflineError:
        programs.refuse_full_disk(output, scratch)
        error = uv.failure(f"fetch {self.what}", output, offline=False)
        if _MISMATCH in output:
            what = f"The archive of {self.what} is not the one that uv knows."
            return IntegrityError(what, why=error.why, next_step=_ELSEWHERE)
        if isinstance(error, NetworkError):
            return NetworkError(
                f"uv cannot fetch {self.what}.", why=error.why, next_step=_ELSEWHERE
            )
        return error


def _archive(pins: Pins, source: _Source, series: str) -> Archive:
    question = ["python", series, source.target.python]
    known = pins.recall(source.what, question, lambda: source.pin(series))
    pinned = _Pinned(**json.loads(known))
    entry = source.entry(pinned)
    item = Item(
        kind=KIND,
        name="cpython",
        version=pinned.version,
        file=pinned.file,
        size=entry.size,
        sha256=entry.digest.hex,
        upstream=entry.digest.sri,
        purl=f"pkg:generic/cpython@{pinned.version}",
        targets=(source.target.name,),
    )
    return Archive(item, entry.path)
