"""Brotli copies beside the files that it makes smaller, for servers that send them.

`browser serve` does, and so does nginx with ``brotli_static``. Wheels and the standard
library are zips: nothing is gained there.
"""

from pathlib import Path

from pyodide_offline.features.browser import folder
from pyodide_offline.progress import Progress, working

SUFFIX = ".br"
# Quality 9 costs 3 s for Pyodide's 9.6 MB; 11 gives another 12 % for 67 s.
_QUALITY = 9
_SMALLEST = 1400  # bytes: what one packet holds is not sent any faster
_WORTH = (".wasm", ".mjs", ".js", ".json", ".css", ".py", ".db", ".csv", ".tsv")


def write(root: Path, progress: Progress) -> None:
    """Write a copy of each file that gets smaller by a tenth or more."""
    import brotli

    with working(progress, "Compressing"):
        for name in folder.names(root):
            path = root / name
            if path.suffix not in _WORTH or path.stat().st_size < _SMALLEST:
                continue
            data = path.read_bytes()
            packed = brotli.compress(data, quality=_QUALITY)
            if len(packed) < 0.9 * len(data):
                path.with_name(path.name + SUFFIX).write_bytes(packed)
