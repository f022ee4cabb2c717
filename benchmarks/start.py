"""Starts with snapshots against the best start there can be without this product.

Plain is `wrangler dev` (and `pywrangler dev`) with the flags by hand: the bundle is in
workerd's own disk cache, so there is no network in it at all. Interleaved, medians:

    python benchmarks/start.py --runs 5

Run it with the Python that the project is installed for, on Linux. It uses this user's
store, fills it first, and has the snapshots made before it measures.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.starts import (  # noqa: E402 - found by the line above
    PROGRAM,
    Seconds,
    call,
    environment_inside,
    start_by_hand,
    without_ours,
)
from tests.peers.wrangler import Server, copy_example, started  # noqa: E402

DATES = {"3.14": "2026-11-17", "3.13": "2025-11-02"}
RUN = [PROGRAM, "run", "--"]
# Seconds in which a snapshot must have been made on any machine.
PATIENCE = 240


@dataclass(frozen=True)
class Line:
    """One comparison: ours against a peer, with the most that the ratio may be."""

    name: str
    ours: Callable[[], Seconds]
    peer_name: str
    peer: Callable[[], Seconds]
    most_ratio: float


class Worker:
    """One Starlette worker, as `run` starts it and as one starts it by hand."""

    def __init__(self, series: str, scratch: Path) -> None:
        self.series = series
        self._log = scratch / "log"
        self._edits = 0
        self._state = scratch / "state"
        self.project = copy_example("starlette", scratch / "ours")
        config = self.project / "wrangler.toml"
        config.write_text(config.read_text().replace(DATES["3.14"], DATES[series]))
        # Code that no store has seen, whoever has run this before.
        with (self.project / "src" / "entry.py").open("a") as entry:
            entry.write(f"# {uuid.uuid4()}\n")
        call([PROGRAM, "prefetch", "-q"], cwd=self.project)
        call([*RUN, "pywrangler", "sync"], cwd=self.project)
        inside = environment_inside(self.project)
        self.hand, self.hand_env = start_by_hand(self.project, inside, scratch)
        self.plain_env = without_ours(inside)

    def start(self, command: list[str], project: Path, env: Mapping[str, str]) -> Seconds:
        """Return the seconds from a command's start to its first answer."""
        began = time.perf_counter()
        with started(command, project, env=env, log=self._log) as server:
            took = time.perf_counter() - began
            # To the whole group: pywrangler leaves wrangler running when it alone is ended.
            server.stop(signal.SIGINT)
            return took

    def ours(self, *command: str) -> Seconds:
        """Start through `run`, the code as it was at the last start."""
        return self.start([*RUN, *command, "dev"], self.project, os.environ)

    def plain(self, *command: str) -> Seconds:
        """Start by hand."""
        return self.start([*command, "dev"], self.hand, self.hand_env)

    def ours_after_edit(self) -> Seconds:
        """Start through `run` with code that was never seen before."""
        self._edit(self.project)
        return self.ours("wrangler")

    def reload(self, command: list[str], project: Path, env: Mapping[str, str]) -> Seconds:
        """Return the median seconds from saving an edit to the new answer, while running."""
        with started(command, project, env=env, log=self._log) as server:
            return statistics.median(self._saved(server, project) for _ in range(3))

    def settle(self) -> None:
        """Leave the server running until this code's own snapshot is there, the last made."""
        others = own_snapshots()
        with started([*RUN, "wrangler", "dev"], self.project, env=os.environ, log=self._log):
            deadline = time.monotonic() + PATIENCE
            while own_snapshots() <= others:
                if time.monotonic() > deadline:
                    sys.exit(f"no snapshot was made in {PATIENCE} s")
                time.sleep(2)

    def _saved(self, server: Server, project: Path) -> Seconds:
        text = self._edit(project)
        began = time.perf_counter()
        # A plain reload answers 500 for a moment.
        while text not in server.fetch("/").text:
            if time.perf_counter() - began > PATIENCE:
                sys.exit(f"the edit was not served:\n{server.log}")
            time.sleep(0.01)
        return time.perf_counter() - began

    def _edit(self, project: Path) -> str:
        self._edits += 1
        entry = project / "src" / "entry.py"
        source = entry.read_text()
        old = next(line for line in source.splitlines() if "Hello" in line)
        text = f"Hello number {self._edits}"
        new = old.replace("Hello", text, 1) if "number" not in old else _renumbered(old, text)
        entry.write_text(source.replace(old, new))
        return text


def _renumbered(line: str, text: str) -> str:

    return re.sub(r"Hello number \d+", text, line)


def own_snapshots() -> set[str]:
    """Return the names of the snapshots in the store that are of one worker's code."""
    listed = json.loads(call([PROGRAM, "cache", "list", "--json"]))
    names = {str(one["name"]) for one in listed if one["kind"] == "snapshot"}
    return {name for name in names if name.startswith("own-")}


def lines_for(worker: Worker, javascript: Callable[[], Seconds]) -> list[Line]:
    """Return the comparisons of one worker."""
    by_hand = worker.hand_env

    def plain() -> Seconds:
        return worker.plain("wrangler")

    def warm() -> Seconds:
        return worker.ours("wrangler")

    def reload_ours() -> Seconds:
        return worker.reload([*RUN, "wrangler", "dev"], worker.project, os.environ)

    def reload_plain() -> Seconds:
        return worker.reload(["wrangler", "dev"], worker.hand, by_hand)

    def pywrangler_ours() -> Seconds:
        return worker.ours("pywrangler")

    def pywrangler_plain() -> Seconds:
        return worker.plain("pywrangler")

    name = worker.series
    return [
        Line(f"{name} warm", warm, "wrangler dev by hand", plain, 0.35),
        Line(f"{name} warm, floor", warm, "a JavaScript worker by hand", javascript, 1.1),
        Line(f"{name} pywrangler", pywrangler_ours, "pywrangler by hand", pywrangler_plain, 0.35),
        Line(f"{name} after an edit", worker.ours_after_edit, "wrangler by hand", plain, 0.5),
        Line(f"{name} edit while running", reload_ours, "wrangler by hand", reload_plain, 0.4),
    ]


def report(line: Line, runs: int) -> bool:
    """Measure both in turn, print one line, and say whether the target was held."""
    ours, peers = [], []
    for _ in range(runs):
        peers.append(line.peer())
        ours.append(line.ours())
    mine, other = statistics.median(ours), statistics.median(peers)
    held = mine / other <= line.most_ratio
    print(
        f"{line.name:<24}{mine:8.3f}s{other:9.3f}s{mine / other:8.2f}"
        f"  at most {line.most_ratio}: {'held' if held else 'MISSED'}"
        f"  [n={runs}; {min(ours):.2f}-{max(ours):.2f}, {min(peers):.2f}-{max(peers):.2f};"
        f" peer: {line.peer_name}]",
        flush=True,
    )
    return held


def waiting_memory(worker: Worker) -> float:
    """Return the resident MB of a `run` that waits."""
    with subprocess.Popen(
        [*RUN, "sh", "-c", "sleep 5"], cwd=worker.project, stdout=subprocess.DEVNULL
    ) as child:
        time.sleep(3)
        status = Path(f"/proc/{child.pid}/status").read_text()
        child.wait()
    found = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(found.split()[1]) / 1000


def main() -> int:
    """Measure and print a table; with --strict a missed target fails."""
    parser = argparse.ArgumentParser(prog="start.py", description="Starts with snapshots.")
    parser.add_argument("--runs", type=int, default=5, help="starts of each kind (%(default)s)")
    parser.add_argument("--python", choices=[*DATES], action="append", help="only this one")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    held, memory = [], 0.0
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-bench-") as folder:
        scratch = Path(folder)
        script = copy_example("javascript", scratch / "javascript")
        print(f"{'':<24}{'median':>9}{'peer':>10}{'ratio':>8}  target")
        for series in options.python or DATES:
            place = scratch / series
            place.mkdir()
            worker = Worker(series, place)
            worker.settle()

            def javascript(worker: Worker = worker) -> Seconds:
                return worker.start(["wrangler", "dev"], script, worker.plain_env)

            held += [report(line, options.runs) for line in lines_for(worker, javascript)]
            memory = max(memory, waiting_memory(worker))
        print(f"{'run, waiting':<24}{memory:7.1f} MB{'':18}  at most 40 MB")
        held.append(memory <= 40)
    return 1 if options.strict and not all(held) else 0


if __name__ == "__main__":
    sys.exit(main())
