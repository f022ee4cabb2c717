"""How long a kit takes from `kit.pyz run FILE` to a worker's first answer.

    python3 benchmarks/kit_start.py [--use SECONDS] [--folder DIR] [--cold]

The Starlette example is packed once (that asks the registries). Then, each in a network with
loopback only: a first start with an empty home, a second one, and, as the yardstick of the same
run, a warm `run --offline` of this installation. `--use` is how long each goes on after its
answer: snapshots are made then. Processor time is of all that was started. `--cold` has the system
forget all files before the first start, so that they come from the disk (as root). Needs Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("pyodide-offline")
# Runs inside: starts the command, asks until it answers, prints seconds and processor time.
ASK = """
import http.client, resource, signal, subprocess, sys, time
use, words = float(sys.argv[1]), [*sys.argv[2:], "--ip", "127.0.0.1", "--port", "8797"]
start = time.monotonic()
server = subprocess.Popen(words, stdout=2)
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8797, timeout=300)
        connection.request("GET", "/")
        answer = connection.getresponse().read()
        break
    except OSError:
        if server.poll() is not None:
            raise SystemExit(f"it ended with {server.returncode}")
        time.sleep(0.02)
took = time.monotonic() - start
assert b"Starlette" in answer, answer
time.sleep(use)
server.send_signal(signal.SIGINT)
server.wait()
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print(took, spent.ru_utime + spent.ru_stime)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--use", type=float, default=20, help="seconds that each is used for")
    parser.add_argument("--folder", type=Path, help="where all of it lies")
    parser.add_argument("--cold", action="store_true", help="the first start reads from the disk")
    found = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=found.folder) as folder:
        _measure(Path(folder), found.use, cold=found.cold)


def _measure(folder: Path, use: float, *, cold: bool) -> None:
    kit, here, there = folder / "my.kit", folder / "packed", folder / "there"
    for project in (here, there):
        subprocess.run(["cp", "-r", ROOT / "examples" / "starlette", project], check=True)
    subprocess.run([PROGRAM, "kit", "pack", here, "-o", kit, "--pin-now"], check=True)
    subprocess.run(["tar", "-xf", kit, "-C", folder, "kit.pyz"], check=True)
    (folder / "home").mkdir()
    bare = {"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"}
    python = str(Path(sys._base_executable))  # type: ignore[attr-defined]
    run = [python, str(folder / "kit.pyz"), "run"]
    words = ["--", "pywrangler", "dev"]
    if cold:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
    first = _start([*run, str(kit), "--allow-unsigned", *words], there, bare, use)
    second = _start([*run, *words], there, bare, use)
    offline = [str(PROGRAM), "run", "--offline", *words]
    subprocess.run([PROGRAM, "prefetch"], cwd=here, check=True)
    _start(offline, here, dict(os.environ), use)
    warm = _start(offline, here, dict(os.environ), use)
    for name, one in (("first", first), ("second", second), ("warm run", warm)):
        print(f"{name:9} {one[0]:6.2f} s  {one[1]:6.2f} s of processors  {one[0] / warm[0]:5.2f}")


def _start(words: list[str], project: Path, environ: dict[str, str], use: float) -> list[float]:
    inside = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"']
    ask = [*inside, "sh", sys.executable, "-c", ASK, str(use), *words]
    environ = {**environ, "PATH": f"{environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(ask, cwd=project, env=environ, stdout=subprocess.PIPE, check=True)
    return [float(one) for one in done.stdout.split()]


if __name__ == "__main__":
    main()
