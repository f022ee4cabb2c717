"""What a folder of `browser build` costs in Chromium, against one made by hand.

The peer is what recipes lead to: npm's whole lock file, packages as they come (pip and
setuptools, and what is marked for other systems, among them), no compressed copies, no
service worker, Python's own http.server. Both show the same table of datasette 1.0a41 with
the same page and worker. First visits have an empty profile, second visits follow in it.

    python benchmarks/browser.py --runs 3

Medians, and ours as a ratio of the peer's. Bytes are those over the line. Needs Chromium and
the package registries; uses this user's store.
"""

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pyodide_offline import paths  # noqa: E402 - found by the line above
from pyodide_offline.distribution import lockfile  # noqa: E402
from pyodide_offline.features.browser import apps, build, folder, serve  # noqa: E402
from pyodide_offline.session import Session  # noqa: E402
from pyodide_offline.store import Store  # noqa: E402
from tests.peers import sites  # noqa: E402
from tests.peers.sites import Site  # noqa: E402

ROWS = 1000
# What pip brings along by markers of this machine that are off for a browser.
NATIVE = ("anyio", "httpcore2", "truststore")
NAMES = ("ours", "ours, compiled", "by hand")


@dataclass(frozen=True)
class Visit:
    """One visit: seconds until the table is there, requests and bytes over the line."""

    seconds: float
    requests: float
    size: float


def main() -> int:
    """Build the folders, visit them in turn, print a table."""
    parser = argparse.ArgumentParser(prog="browser.py", description="What a folder costs.")
    parser.add_argument("--runs", type=int, default=3, help="rounds (%(default)s)")
    options = parser.parse_args()
    seen: dict[tuple[str, str], list[Visit]] = {}
    with tempfile.TemporaryDirectory(prefix="browser-") as scratch:
        roots = folders(Path(scratch))
        for _ in range(options.runs):
            for name, root in roots.items():
                with server(name, root) as url, sites.browser() as page:
                    site = Site(page, url)
                    for which in ("first", "second"):
                        seen.setdefault((which, name), []).append(visit(site, kept="ours" in name))
    for which in ("first", "second"):
        peer = median(seen[which, "by hand"])
        for name in NAMES:
            report(f"{which} visit, {name}", median(seen[which, name]), peer)
    return 0


def folders(scratch: Path) -> dict[str, Path]:
    """Build ours, ours with byte code, and the peer's."""
    data = scratch / "own.db"
    with closing(sqlite3.connect(data)) as database, database:
        database.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT)")
        rows = ((f"number {number}",) for number in range(ROWS))
        database.executemany("INSERT INTO numbers (name) VALUES (?)", rows)
    session = Session(Store(paths.store_dir(os.environ)), os.environ, scratch, scratch)
    app = apps.read("datasette==1.0a41", data=[data])
    found = {}
    for name, options, more in (
        ("ours", build.Options(app=app), ()),
        ("ours, compiled", build.Options(app=app, compiled=True), ()),
        ("by hand", build.Options(app=replace(app, exclude=()), compressed=False), NATIVE),
    ):
        found[name] = scratch / name.replace(", ", "-").replace(" ", "-")
        planned = build.plan(session, more, options)
        build.make(session, planned, found[name], options)
        if name == "by hand":
            unprune(found[name], planned.lock)
    return found


def unprune(root: Path, lock: lockfile.Lock) -> None:
    """Give a folder all entries of npm's lock beside its own."""
    about = folder.read(root).about
    path = root / f"{about['packages']}pyodide-lock.json"
    own = lockfile.read(path.read_bytes(), str(path))
    path.write_bytes(lockfile.write(lock, {**lock.packages, **own.packages}.values()))
    folder.seal(root, about)


@contextmanager
def server(name: str, root: Path) -> Iterator[str]:
    """Serve ours with `browser serve`, the peer's with http.server."""
    served = sites.plain_server(root) if name == "by hand" else serve.started(folder.read(root))
    with served as url:
        yield url


def visit(site: Site, *, kept: bool) -> Visit:
    """Open the table; afterwards let the service worker end its work, or keep it out."""
    page = site.page
    if not kept:
        page.without_service_workers()
    page.open("about:blank")
    page.requests.clear()
    began = time.perf_counter()
    page.open(f"{site.url}#/own/numbers")
    page.wait("document.body?.dataset.shown", sites.PATIENCE)
    seconds = time.perf_counter() - began
    asked = [one for one in site.asked() if not one.cached]
    found = Visit(seconds, len(asked), sum(one.size for one in asked))
    if site.outside():
        sys.exit(f"asked for something outside: {json.dumps(site.outside())}")
    if kept:
        page.wait("document.body.dataset.kept", sites.PATIENCE)
    return found


def median(visits: list[Visit]) -> Visit:
    """Return the medians of each number."""
    return Visit(
        statistics.median(one.seconds for one in visits),
        statistics.median(one.requests for one in visits),
        statistics.median(one.size for one in visits),
    )


def report(name: str, ours: Visit, peer: Visit) -> None:
    """Print one line; a ratio below 1 is less than by hand."""
    values = [
        (f"{ours.seconds:6.2f} s", ours.seconds, peer.seconds),
        (f"{ours.requests:4.0f} requests", ours.requests, peer.requests),
        (f"{ours.size / 1e6:6.2f} MB", ours.size, peer.size),
    ]
    cells = [f"{text} ({mine / other if other else 0:4.2f})" for text, mine, other in values]
    print(f"{name:<28} {'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
