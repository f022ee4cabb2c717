"""Kill a mirror's fronts and its store at random moments under load, and count.

    python -m benchmarks.mirror_chaos [--moments 100] [--seed 1]

Three of four moments are a front's (kill -9 of one of two), the fourth is the store's
(SeaweedFS). Printed are bodies that came whole, requests that failed meanwhile and why, bodies
that came whole and wrong, what was told to be in the store and was not there at the end, and the
seconds until new packages were served again. The exit status is 0 if nothing was wrong or lost.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.peers.mirror_chaos import chaos


def main() -> int:
    """Play the moments."""
    parser = argparse.ArgumentParser(description="Kill a mirror's fronts and store under load.")
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mirror-chaos-") as folder,
        chaos(Path(folder), options.seed) as fleet,
    ):
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for moment in range(options.moments):
            store = moment % 4 == 3
            fleet.strike(store=store)
            seconds[store].append(fleet.counts.recovered[-1])
            print(f"{moment + 1}: {'store' if store else 'front'} {seconds[store][-1]:.1f} s")
        missing = fleet.missing()
        counts = fleet.counts
    failed = counts.failed.total()
    print(f"whole {counts.whole}, failed {failed}, wrong {len(counts.wrong)}")
    for cause, count in counts.failed.most_common():
        print(f"  failed: {cause} {count}")
    print(f"told to be in the store {len(counts.written)}, lost or damaged {len(missing)}")
    for name, found in (("front", seconds[False]), ("store", seconds[True])):
        if found:
            print(
                f"{name}: {len(found)} kills, serving again after "
                f"{statistics.median(found):.1f} s (median), {max(found):.1f} s (longest)"
            )
    return 1 if counts.wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
