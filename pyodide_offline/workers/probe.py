"""Asking a workerd binary which bundle a worker needs and which digest it must have.

Nothing of this is in a table: each new workerd answers for itself. Answers are kept under
the binary's own digest.
"""

import json
import os
import re
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import process
from pyodide_offline.digest import Digest
from pyodide_offline.errors import WorkerdError
from pyodide_offline.store import Store

DEVELOPMENT_FLAG = "python_workers_development"
DEVELOPMENT_ID = "dev"
LOADING = re.compile(
    r"Loading Pyodide bundle from internet; url = (\S+/pyodide_([^/\s]+)\.capnp\.bin)"
)
# The hash is followed by ';' in the text, so "all but blanks" would take too much.
_EXPECTED = re.compile(r"expectedIntegrity = (sha256-[A-Za-z0-9+/=]+)")
# What the C++ releases without a hash say of a bundle that is no message.
_NO_HASH = re.compile(r"Message ends prematurely|Message did not contain a root pointer")

# Addresses in the binary, long, and the last thing that is printed: nobody can read them.
_STACK = "stack: "


@dataclass(frozen=True)
class Want:
    """The official bundle of a worker: its id, its URL, and its digest where one is carried.

    ``question`` names the binary, date and flags that it was asked for.
    """

    bundle_id: str
    url: str
    digest: Digest | None
    question: str = ""

    @property
    def file_name(self) -> str:
        """The name under which workerd looks for it in its cache folder."""
        return bundle_file_name(self.bundle_id)

    @property
    def pyodide(self) -> str:
        """The Pyodide version that the id begins with, such as ``314.0.6``."""
        return self.bundle_id.split("_", 1)[0]


def bundle_file_name(bundle_id: str) -> str:
    """Return workerd's own name for a bundle in its cache folder."""
    return f"pyodide_{bundle_id}.capnp.bin"


def want(store: Store, binary: Path, date: str, flags: Sequence[str]) -> Want:
    """Return the bundle that this binary asks for, for a worker of this date and flags.

    Asked with two short runs the first time, then remembered. Raises WorkerdError.
    """
    key = question(store, binary, date, flags)
    known = store.memo("want", key)
    if isinstance(known, dict):
        digest = known["digest"]
        return Want(known["id"], known["url"], digests.parse(digest) if digest else None, key)
    answer = replace(_ask(binary, date, flags), question=key)
    digest = str(answer.digest) if answer.digest else None
    store.remember("want", key, {"id": answer.bundle_id, "url": answer.url, "digest": digest})
    return answer


def question(store: Store, binary: Path, date: str, flags: Sequence[str]) -> str:
    """Name a question to a binary: the key under which its answer is remembered."""
    asked = digests.of_bytes(json.dumps([date, sorted(flags)]).encode()).short
    return f"{identify(store, binary).hex}-{asked}"


def merged(flags: Sequence[str], added: Sequence[str]) -> tuple[str, ...]:
    """Return flags with others added. One that an addition turns off (``no_…``) is left out.

    workerd refuses a flag beside its opposite.
    """
    kept = [flag for flag in flags if f"no_{flag}" not in added]
    return (*kept, *(flag for flag in added if flag not in kept))


def identify(store: Store, binary: Path) -> Digest:
    """Return the sha256 of a binary, read again only when the file changed."""
    found = check(binary)
    state = [found.st_size, found.st_mtime_ns, found.st_ino]
    key = digests.of_bytes(str(binary.absolute()).encode()).short
    known = store.memo("file-digest", key)
    if isinstance(known, dict) and known.get("state") == state:
        return digests.parse(known["digest"])
    digest = digests.of_file(binary)
    store.remember("file-digest", key, {"state": state, "digest": str(digest)})
    return digest


def check(binary: Path) -> os.stat_result:
    """Return the binary's file state. Raises WorkerdError if there is none."""
    try:
        return binary.stat()
    except OSError as error:
        raise WorkerdError(
            f"There is no workerd at {binary}: {error.strerror}.",
            next_step="Install wrangler in the project (npm install wrangler), or name one.",
        ) from error


def _ask(binary: Path, date: str, flags: Sequence[str]) -> Want:
    with folder("pass", date, flags) as place:
        said, found = [], None
        with closing(lines(binary, place, "--verbose", seconds=30)) as heard:
            for line in heard:
                said.append(line)
                if found := LOADING.search(line):
                    # Ended here, before it has downloaded anything.
                    break
        if found is None:
            raise WorkerdError(
                f"{binary.name} did not say which Pyodide bundle it needs.",
                why=process.tail("\n".join(said), 2) or "It printed nothing.",
                next_step=f"Try it by hand: {binary} --version",
            )
        url, bundle_id = found[1], found[2]
        # A file that cannot be right makes the binary name the digest that would be.
        (place / "cache" / bundle_file_name(bundle_id)).write_bytes(b"?")
        said = list(lines(binary, place, seconds=30))
    text = "\n".join(said)
    if expected := _EXPECTED.search(text):
        return Want(bundle_id, url, digests.parse(expected[1]))
    if _NO_HASH.search(text):
        return Want(bundle_id, url, None)
    raise WorkerdError(
        f"{binary.name} did not say which digest bundle {bundle_id} must have.",
        why=process.tail(text, 2),
    )


@contextmanager
def folder(source: str, date: str, flags: Sequence[str]) -> Iterator[Path]:
    """Make a temporary folder with a one-file worker and an empty ``cache`` for bundles."""
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as name:
        place = Path(name)
        (place / "cache").mkdir()
        (place / "worker.capnp").write_text(_config(source, date, flags), encoding="utf-8")
        yield place


def _config(source: str, date: str, flags: Sequence[str]) -> str:
    # JSON's escapes are valid in Cap'n Proto's text literals.
    listed = ", ".join(json.dumps(flag) for flag in flags)
    return (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        'const config :Workerd.Config = (services = [(name = "probe", worker = (\n'
        f'  modules = [(name = "probe.py", pythonModule = {json.dumps(source)})],\n'
        f"  compatibilityDate = {json.dumps(date)}, compatibilityFlags = [{listed}]))],\n"
        '  sockets = [(name = "http", address = "127.0.0.1:0", service = "probe")]);\n'
    )


def lines(binary: Path, place: Path, *more: str, seconds: float) -> Generator[str, None, None]:
    """Start the worker of a ``folder`` and yield what workerd prints; it can connect nowhere.

    It is ended when the caller has heard enough, or after the seconds.
    """
    command = [
        str(binary),
        "serve",
        "--experimental",
        *more,
        f"--pyodide-bundle-disk-cache-dir={place / 'cache'}",
        str(place / "worker.capnp"),
    ]
    # Loaded only now: most starts remember what workerd said, and ask nothing.
    from pyodide_offline.workers import unconnected

    try:
        child = unconnected.start(command)
    except OSError as error:
        raise WorkerdError(
            f"workerd cannot be started: {binary}: {error.strerror}.",
            next_step="Check that it is the binary for this machine and may be executed.",
        ) from error
    clock = threading.Timer(seconds, child.kill)
    clock.start()
    with child:
        try:
            for line in child.stdout or ():
                if not line.startswith(_STACK):
                    yield line.rstrip("\n")
        finally:
            clock.cancel()
            child.kill()
