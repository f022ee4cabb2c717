"""What `resolve` costs: a warm query against dnspython's own and kdig, and a cold start.

All ask one unbound on loopback, in turn, so that a busy machine is busy for all. A warm
query is one of QUERIES over an open connection. dnspython's DoH needs a package that this
project does not use (`pip install 'dnspython[doh]'`, in a venv of its own): name its
Python with --peer-python. Medians, and ratios of the medians.

    python benchmarks/resolve.py --runs 7 --peer-python /path/to/venv/bin/python

Linux, with Debian's unbound and, for kdig, knot-dnsutils.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pyodide_offline.network import lookup, resolvers  # noqa: E402 - found by the line above
from pyodide_offline.network.doh import DIRECT, Asker  # noqa: E402
from pyodide_offline.session import Session  # noqa: E402
from pyodide_offline.store import Store  # noqa: E402
from tests.peers.authority import Authority  # noqa: E402
from tests.peers.resolvers import running  # noqa: E402

PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")
NAME, QUERIES = "www.example.test", 300
# Its own way to do the same: one session, one connection, bootstrap by address.
DNSPYTHON = """
import sys, time, ssl, dns.message, dns.query, httpx2
port, ca, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with httpx2.Client(http2=True, verify=ssl.create_default_context(cafile=ca)) as session:
    def ask():
        query = dns.message.make_query("www.example.test", "A")
        dns.query.https(query, f"https://127.0.0.1:{port}/dns-query", session=session)
    ask()
    began = time.perf_counter()
    for _ in range(count):
        ask()
    print((time.perf_counter() - began) / count)
"""


def main() -> int:
    """Measure in turn and print a table."""
    parser = argparse.ArgumentParser(prog="resolve.py", description="What resolve costs.")
    parser.add_argument("--runs", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--peer-python", metavar="PATH", help="a Python with dnspython[doh]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resolve-") as folder:
        authority = Authority(Path(folder) / "ca", "dns.test")
        with running("unbound", Path(folder) / "unbound", authority) as server:
            measures = _measures(Path(folder), server.port, authority, options.peer_python)
            seen: dict[str, list[float]] = {name: [] for name in measures}
            for _ in range(options.runs):
                for name, measure in measures.items():
                    seen[name].append(measure() * 1000)
    medians = {name: statistics.median(values) for name, values in seen.items()}
    for name, values in seen.items():
        against = medians[f"{name.split(',')[0]}, ours"]
        print(
            f"{name:<28} median {medians[name]:8.2f} ms  min {min(values):8.2f} ms  "
            f"ours is {against / medians[name]:5.2f} of it"
        )
    return 0


def _measures(
    folder: Path, port: int, authority: Authority, peer: str | None
) -> dict[str, Callable[[], float]]:
    url = f"https://dns.test:{port}/dns-query#127.0.0.1"
    environ = {**os.environ, "NODE_EXTRA_CA_CERTS": str(authority.ca)}
    session = Session(Store(folder / "store"), environ, folder, folder)

    def warm() -> float:
        async def many() -> float:
            async with Asker(session, [resolvers.parse(url)], DIRECT) as asker:
                await asker.ask(NAME, "A")
                began = time.perf_counter()
                for _ in range(QUERIES):
                    await asker.ask(NAME, "A")
                return (time.perf_counter() - began) / QUERIES

        return lookup.run(many, 120)

    def dnspython() -> float:
        command = [str(peer), "-c", DNSPYTHON, str(port), str(authority.ca), str(QUERIES)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def timed(*command: str) -> float:
        began = time.perf_counter()
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def kdig(count: int) -> float:
        tls = [f"+tls-ca={authority.ca}", "+tls-hostname=dns.test", "+keepopen"]
        return timed("kdig", "@127.0.0.1", "-p", str(port), "+https", *tls, *[NAME] * count)

    cold = [PROGRAM, "resolve", "--policy", "secure", "--direct", "--resolver", url]
    store = ["--store-dir", str(folder / "none")]
    measures: dict[str, Callable[[], float]] = {"warm query, ours": warm}
    if peer:
        measures["warm query, dnspython"] = dnspython
    if shutil.which("kdig"):
        measures["warm query, kdig"] = lambda: (kdig(QUERIES + 1) - kdig(1)) / QUERIES

    def cold_start() -> float:
        # No answer is kept; the one CA file is, which is made once for a change of settings.
        shutil.rmtree(folder / "none" / "v1" / "memos", ignore_errors=True)
        return timed(*cold, *store, NAME)

    measures["cold start, ours"] = cold_start
    measures["cold start, system only"] = lambda: timed(PROGRAM, "resolve", *store, "localhost")
    if shutil.which("kdig"):
        measures["cold start, kdig"] = lambda: kdig(1)
    return measures


if __name__ == "__main__":
    sys.exit(main())
