"""How fast a kit is written, verified and unpacked, and how much memory verifying takes.

    python3 benchmarks/kit.py [--megabytes 200] [--folder DIR]

A kit of random blobs of this size, sixty of them, is written twice (the second must be the
same bytes), verified by the `kit.pyz` in it, and unpacked twice. Each figure is the best of
three; files are warm. What `sha256sum` takes for the same file is the yardstick.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pyodide_offline.kits import signing, writing
from pyodide_offline.kits.manifest import Item, Manifest

COUNT, RUNS = 60, 3
# Run under kit.pyz's own code; prints seconds and the peak of memory in MB.
PROBE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pyodide_offline.kits import signature, trust, unpacking
terms = trust.Terms(keys=(signature.public_key(sys.argv[3]),))
start = time.perf_counter()
head, faults = unpacking.verify([Path(sys.argv[2])], trust.Known(), terms)
took = time.perf_counter() - start
assert head and not faults, faults
# getrusage would tell the parent's peak too; VmHWM begins anew with the program (proc(5)).
status = Path("/proc/self/status").read_text()
print(took, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where the kit lies, e.g. in memory: /dev/shm")
    found = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=found.folder) as folder:
        _measure(Path(folder), found.megabytes * 1_000_000)


def _measure(folder: Path, total: int) -> None:
    kit, key = folder / "one.kit", signing.generate()
    manifest, blobs = _contents(folder / "blobs", total)

    def write(target: Path) -> Callable[[], object]:
        return lambda: writing.write(target, manifest, blobs, keys=[key])

    print(f"write    {_rate(total, _best(write(kit)))}")
    write(folder / "two.kit")()
    same = kit.read_bytes() == (folder / "two.kit").read_bytes()
    (folder / "two.kit").unlink()
    extra = kit.stat().st_size - total
    print(f"a second is {'the same' if same else 'ANOTHER'}; {100 * extra / total:.2f} % over")
    subprocess.run(["tar", "-xf", kit, "-C", folder, "kit.pyz"], check=True)
    probe = [sys.executable, "-I", "-S", "-c", PROBE, str(folder / "kit.pyz"), str(kit)]
    figures = [_output([*probe, key.public.line]) for _ in range(RUNS)]
    seconds = min(float(figure.split()[0]) for figure in figures)
    memory = max(float(figure.split()[1]) for figure in figures)
    print(f"verify   {_rate(total, seconds)}, {memory:.0f} MB of memory")
    yardstick = _best(lambda: _output(["sha256sum", str(kit)]))
    print(f"sha256sum {_rate(total, yardstick)}")
    environ = {**os.environ, "PYODIDE_OFFLINE_STATE_DIR": str(folder / "state")}
    unpack = [sys.executable, str(folder / "kit.pyz"), "unpack", str(kit), "--key"]
    unpack += [key.public.line, "--store-dir", str(folder / "store")]
    for name in ("unpack", "again "):
        start = time.perf_counter()
        subprocess.run(unpack, check=True, env=environ, stdout=subprocess.DEVNULL)
        print(f"{name}   {_rate(total, time.perf_counter() - start)}, the program's start included")


def _contents(folder: Path, total: int) -> tuple[Manifest, dict[str, Path]]:
    folder.mkdir()
    dice = random.Random(1)  # noqa: S311 - the same kit in each run
    items, blobs = [], {}
    for number in range(COUNT):
        data = dice.randbytes(total // COUNT)
        sha256 = hashlib.sha256(data).hexdigest()
        blobs[sha256] = folder / sha256
        blobs[sha256].write_bytes(data)
        items.append(Item("npm", f"p{number}", "1.0.0", f"p{number}.tgz", len(data), sha256))
    return Manifest("benchmark", 1, tuple(items)), blobs


def _best(action: Callable[[], object]) -> float:
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _rate(total: int, seconds: float) -> str:
    return f"{seconds:.2f} s, {total / seconds / 1e9:.2f} GB/s"


if __name__ == "__main__":
    main()
