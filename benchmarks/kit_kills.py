"""Packing a kit, unpacking it and running from it, killed often at random moments.

    python -m benchmarks.kit_kills [--kills 200] [--what run|unpack|pack]… [--folder DIR]

The Starlette example is packed once (that asks the registries). Every three kills, after which
each start goes on with what the one before left, a start comes to its end; what is there then
is compared with what an undisturbed start left. tests/e2e/test_kit_kills.py does it twelve times.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e import kits
from tests.e2e.conftest import Machine
from tests.peers.kit_kills import Killing, Packing, Taking
from tests.peers.wrangler import copy_example

TOGETHER = 3


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--what", action="append", choices=["run", "unpack", "pack"], default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where all of it lies")
    found = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=found.folder) as scratch:
        folder = Path(scratch)
        machine = Machine(folder / "home", folder / "bundles")
        machine.home.mkdir()
        kit = kits.packed(machine, copy_example("starlette", folder / "here" / "a project"))
        for what in found.what or ["pack", "unpack", "run"]:
            killing: Killing
            if what == "pack":
                killing = Packing(
                    folder / what, kit.project, kit.secret, machine.env, seed=found.seed
                )
            else:
                run = what == "run"
                killing = Taking(folder / what, kit.file, kit.key, seed=found.seed, run=run)
            _often(what, killing, found.kills)


def _often(what: str, killing: Killing, kills: int) -> None:
    begun, ends, wrong = time.monotonic(), 0, 0
    while killing.kills < kills:
        for number in range(min(TOGETHER, kills - killing.kills)):
            killing.strike(alone=(ends + number) % 2 == 0)
        ends += 1
        if differing := killing.differing():
            wrong += 1
            print(f"{what}: after {killing.kills} kills other files: {differing[:10]}", flush=True)
        print(f"{what}: {killing.kills} kills", end="\r", flush=True)
        killing.anew()
    left = killing.close()
    print(
        f"{what}: {killing.kills} kills, {ends} starts to the end, {wrong} not as an undisturbed "
        f"one, {len(left)} processes left, {time.monotonic() - begun:.0f} s",
        *left,
        sep="\n  ",
        flush=True,
    )


if __name__ == "__main__":
    main()
