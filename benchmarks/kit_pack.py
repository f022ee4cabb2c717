"""How fast a project is packed from the store, and how fast and small its kit is verified.

    python3 benchmarks/kit_pack.py [PROJECT] [--runs 5]

The peer is what one would type by hand: `tar` of the same archives, `sync` of the result and
`sha256sum`. Each run measures ours and the peer one after the other, files warm; the medians
of seconds and of processor time (user and system) are told, and their ratios. The store is
the user's own (PYODIDE_OFFLINE_STORE_DIR names another): the first pack fills it and pins.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pyodide_offline import archive

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, seconds of processor time, megabytes of memory at most."""

    wall: float
    cpu: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("project", nargs="?", type=Path, default=ROOT / "examples" / "starlette")
    parser.add_argument("--runs", type=int, default=5)
    found = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        _measure(found.project.resolve(), Path(folder), found.runs)


def _measure(project: Path, folder: Path, runs: int) -> None:
    kit, again, key = folder / "one.kit", folder / "two.kit", folder / "key"
    run = [PROGRAM, "kit"]
    _cost([*run, "keygen", "--no-passphrase", str(key)])
    pack = [*run, "pack", str(project), "--sign", str(key), "-q", "-o"]
    first = _cost([*pack, str(kit), "--pin-now"])
    print(f"first pack, which may fetch: {first.wall:.1f} s")
    archives, total = _archives(kit, folder / "archives")
    bundle = folder / "plain.tar"
    script = 'tar -cf "$1" -C "$2" . && sync "$1" && sha256sum "$1" >/dev/null'
    plain = ["sh", "-c", script, "sh", str(bundle), str(archives)]
    packs, plains, verifies, sums = [], [], [], []
    verify = [*run, "verify", str(kit), "--key", f"{key}.pub", "-q"]
    alone = [sys.executable, str(folder / "kit.pyz"), "verify", str(kit), "--key", f"{key}.pub"]
    for _ in range(runs):
        packs.append(_cost([*pack, str(again), "--offline"]))
        plains.append(_cost(plain))
        verifies.append(_cost(alone))
        sums.append(_cost(["sha256sum", str(kit)]))
    # Not read whole: a child's peak of memory would begin at ours.
    same = filecmp.cmp(kit, again, shallow=False)
    size = kit.stat().st_size
    _line("pack, store warm", packs, size)
    _line("tar, sync, sha256sum", plains, size)
    print(f"  ratio: {_ratio(packs, plains)}")
    _line("python3 kit.pyz verify", verifies, size)
    _line("sha256sum", sums, size)
    print(f"  ratio: {_ratio(verifies, sums)}")
    _line("pyodide-offline kit verify", [_cost(verify) for _ in range(runs)], size)
    print(f"size: {size / total:.4f} of the sum of its archives ({total / 1e6:.1f} MB)")
    print(f"two packs are {'byte-identical' if same else 'DIFFERENT'}")


def _archives(kit: Path, folder: Path) -> tuple[Path, int]:
    """Take the kit's archives and its program out; return the folder and the archives' size."""
    everything = folder.parent / "everything"
    archive.unpack(kit, everything)
    for name in ("kit.pyz", "manifest.json"):
        (everything / name).rename(folder.parent / name)
    items = json.loads((folder.parent / "manifest.json").read_bytes())["items"]
    sizes = {one["sha256"]: one["size"] for one in items}
    folder.mkdir()
    for sha256 in sizes:
        (everything / "blobs" / "sha256" / sha256).rename(folder / sha256)
    return folder, sum(sizes.values())


def _cost(command: Sequence[str]) -> Cost:
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"status {child.returncode} of {' '.join(command)}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _line(name: str, costs: Sequence[Cost], size: int) -> None:
    wall, cpu = median(one.wall for one in costs), median(one.cpu for one in costs)
    best = size / min(one.wall for one in costs) / 1e9
    memory = max(one.memory for one in costs)
    print(
        f"{name:28} {wall:5.2f} s ({min(one.wall for one in costs):.2f} at best, "
        f"{best:.2f} GB/s), processor {cpu:.2f} s, {memory:.0f} MB"
    )


def _ratio(ours: Sequence[Cost], theirs: Sequence[Cost]) -> str:
    pairs = list(zip(ours, theirs, strict=True))
    wall = median(one.wall / other.wall for one, other in pairs)
    cpu = median(one.cpu / other.cpu for one, other in pairs)
    return f"{wall:.2f} of the time, {cpu:.2f} of the processor time"


if __name__ == "__main__":
    main()
