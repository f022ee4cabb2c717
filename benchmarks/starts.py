"""What this product adds to a start, against the same thing without it.

Each measurement has a named peer that runs in turn with it, so that a busy machine is
busy for both; printed are both medians, the median of the pairs' differences, the ratio
of the medians and, where there is one, the target. A measurement that cannot be made
ends the script with its reason: nothing is skipped.

    python benchmarks/starts.py --runs 7

Run it with the Python that the project is installed for. It uses this user's store and
fills it first. Linux only (it reads a process's arguments from /proc).
"""

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.peers.wrangler import copy_example, started  # noqa: E402 - found by the line above

PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")
FOLDER_FLAG = "--pyodide-bundle-disk-cache-dir="
# Runs of a program that ends at once cost little: take more of them.
CHEAP = 4

Seconds = float
Measure = Callable[[], Seconds]


@dataclass(frozen=True)
class Benchmark:
    """One measurement and its peer; the target is a ratio or an added time."""

    name: str
    ours: Measure
    peer_name: str
    peer: Measure
    cheap: bool = True
    most_ratio: float | None = None
    most_added: Seconds | None = None
    most: Seconds | None = None


def main() -> int:
    """Measure what was asked for and print a table; with --strict a missed target fails."""
    parser = argparse.ArgumentParser(prog="starts.py", description="What run adds to a start.")
    parser.add_argument("--runs", type=int, default=5, help="starts of each kind (%(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="may be repeated")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-bench-") as folder:
        benchmarks = prepare(Path(folder))
        names = [benchmark.name for benchmark in benchmarks]
        if unknown := set(options.only or ()) - set(names):
            parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        print(f"{'':<18}{'median':>9}{'peer':>9}{'added':>9}{'ratio':>7}  target")
        held = [
            report(benchmark, options.runs * (CHEAP if benchmark.cheap else 1))
            for benchmark in benchmarks
            if not options.only or benchmark.name in options.only
        ]
    return 1 if options.strict and not all(held) else 0


def report(benchmark: Benchmark, runs: int) -> bool:
    """Measure both in turn, print one line, and say whether the target was held."""
    benchmark.peer(), benchmark.ours()  # files into memory, byte code written
    ours, peers = [], []
    for number in range(runs):
        # Who goes first changes, so that neither always finds the machine as the other left it.
        if number % 2:
            ours.append(benchmark.ours())
            peers.append(benchmark.peer())
        else:
            peers.append(benchmark.peer())
            ours.append(benchmark.ours())
    mine, other = statistics.median(ours), statistics.median(peers)
    added = statistics.median(a - b for a, b in zip(ours, peers, strict=True))
    ratio = mine / other
    limits = [
        (ratio, benchmark.most_ratio, "ratio {:.2f}"),
        (added, benchmark.most_added, "added {:.3f} s"),
        (mine, benchmark.most, "{:.3f} s"),
    ]
    targets = [text.format(most) for _, most, text in limits if most is not None]
    held = all(value <= most for value, most, _ in limits if most is not None)
    verdict = f"at most {', '.join(targets)}: {'held' if held else 'MISSED'}" if targets else "none"
    print(
        f"{benchmark.name:<18}{mine:8.3f}s{other:8.3f}s{added:+8.3f}s{ratio:7.2f}  {verdict}"
        f"  [n={runs}; spread {spread(ours)} and {spread(peers)}; peer: {benchmark.peer_name}]",
        flush=True,
    )
    return held


def spread(values: list[Seconds]) -> str:
    """Return least and most, so that a noisy run is seen."""
    return f"{min(values):.3f}-{max(values):.3f}"


def prepare(scratch: Path) -> list[Benchmark]:
    """Fill the store, copy the examples, learn what a start by hand has to say."""
    python = copy_example("starlette", scratch / "starlette")
    javascript = copy_example("javascript", scratch / "javascript")
    call([PROGRAM, "prefetch", "-q"], cwd=python)
    call([PROGRAM, "run", "--", "pywrangler", "sync"], cwd=python)
    inside = environment_inside(javascript)
    bare = scratch / "bare.py"
    bare.write_text(bare_program(commands_of(PROGRAM)), encoding="utf-8")
    peer = [sys.executable, str(bare), "--help"]
    program = [sys.executable, PROGRAM]

    by_hand, by_hand_env = start_by_hand(python, inside, scratch)
    # A compile cache for Node is set by run, so without run there is none.
    no_product = without_ours(inside)
    wrangler = ["wrangler", "dev"]
    through_run = [PROGRAM, "run", "--", *wrangler]
    log = scratch / "log"
    return [
        Benchmark(
            "--help",
            timed([*program, "--help"]),
            "a click program with as many commands",
            timed(peer),
            most_ratio=1.3,
        ),
        Benchmark(
            "warm prefetch",
            timed([*program, "prefetch", "-q"], cwd=python),
            "a click program with as many commands",
            timed(peer),
            most=0.3,
        ),
        Benchmark(
            "run -- true",
            timed([*program, "run", "--", "true"], cwd=python),
            "true",
            timed(["true"]),
        ),
        Benchmark(
            "Python start",
            first_answer(through_run, python, os.environ, log),
            "wrangler with the flags by hand",
            first_answer(wrangler, by_hand, by_hand_env, log),
            cheap=False,
            most_added=0.150,
        ),
        Benchmark(
            "JavaScript start",
            first_answer(through_run, javascript, os.environ, log),
            "wrangler alone",
            first_answer(wrangler, javascript, no_product, log),
            cheap=False,
            most_added=0.060,
        ),
    ]


def timed(command: list[str], cwd: Path | None = None) -> Measure:
    """Return a measurement of a program from its start to its end."""

    def measure() -> Seconds:
        began = time.perf_counter()
        call(command, cwd=cwd)
        return time.perf_counter() - began

    return measure


def first_answer(command: list[str], project: Path, env: Mapping[str, str], log: Path) -> Measure:
    """Return a measurement of a dev server from its start to its first answer."""

    def measure() -> Seconds:
        began = time.perf_counter()
        with started(command, project, env=env, log=log):
            return time.perf_counter() - began

    return measure


def call(command: list[str], cwd: Path | None = None) -> str:
    """Run a program and return what it prints; its failure ends the benchmark."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def environment_inside(project: Path) -> dict[str, str]:
    """Return the environment that ``run`` gives its command."""
    text = call([PROGRAM, "run", "--", "env", "-0"], cwd=project)
    pairs = (line.partition("=") for line in text.split("\0") if line)
    return {name: value for name, _, value in pairs}


def without_ours(inside: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what ``run`` adds for speed or to reach miniflare.

    The tools stay on PATH, and wrangler's calls home stay off, for both sides.
    """
    ours = ("MINIFLARE_WORKERD_PATH", "PYODIDE_OFFLINE_", "NODE_COMPILE_CACHE")
    user = os.environ.get("NODE_COMPILE_CACHE")
    kept = {k: v for k, v in inside.items() if not k.startswith(ours)}
    scripts = call([PROGRAM, "cache", "path"]).strip() + "/v1/bin/"
    path = [part for part in kept["PATH"].split(os.pathsep) if not part.startswith(scripts)]
    kept["PATH"] = os.pathsep.join(path)
    return {**kept, "NODE_COMPILE_CACHE": user} if user else kept


def start_by_hand(
    project: Path, inside: Mapping[str, str], scratch: Path
) -> tuple[Path, dict[str, str]]:
    """Return a project and an environment that give workerd by hand what ``run`` gives it.

    What that is is read from the arguments of a workerd that ``run`` started.
    """
    command = [PROGRAM, "run", "--", "wrangler", "dev"]
    with started(command, project, env=os.environ, log=scratch / "log") as server:
        commands = [
            Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
            for pid in server.processes()
        ]
    found = {
        (words[0], word.removeprefix(FOLDER_FLAG))
        for words in commands
        # miniflare gives an inspector to the process with the user's worker only.
        if any(word.startswith("--inspector-addr") for word in words)
        for word in words
        if word.startswith(FOLDER_FLAG)
    }
    if len(found) != 1:
        sys.exit(f"not one workerd with a bundle folder, but: {commands}")
    ((workerd, folder),) = found
    script = scratch / "workerd by hand"
    script.write_text(
        "#!/bin/sh\nshift\n"
        f'exec {shlex.quote(workerd)} serve {shlex.quote(FOLDER_FLAG + folder)} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    by_hand = scratch / "by hand"
    call(["cp", "-a", str(project), str(by_hand)])
    if (Path(folder) / "pyodide_dev.capnp.bin").exists():
        config = by_hand / "wrangler.toml"
        text = config.read_text(encoding="utf-8")
        flags = '["python_workers", "python_workers_development"]'
        config.write_text(text.replace('["python_workers"]', flags), encoding="utf-8")
    return by_hand, {**without_ours(inside), "MINIFLARE_WORKERD_PATH": str(script)}


def commands_of(program: str) -> int:
    """Return how many commands a click program's help lists."""
    _, _, listed = call([program, "--help"]).partition("Commands:\n")
    count = len(re.findall(r"^  [a-z]", listed, re.MULTILINE))
    if not count:
        sys.exit(f"{program} --help lists no commands")
    return count


def bare_program(commands: int) -> str:
    """Return a click program that does nothing, with so many commands."""
    lines = ["import click", "@click.group()", "def main():", '    """A bare program."""']
    for number in range(commands):
        lines += [f"@main.command('command-{number}')", f"def command_{number}():"]
        lines += [f'    """Do thing {number}."""']
    return "\n".join([*lines, "main()", ""])


if __name__ == "__main__":
    sys.exit(main())
