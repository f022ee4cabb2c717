"""A worker's memory in a kit: the snapshot of its packages, which spares the first start most.

Made where the kit is packed (``remembering``), from what the other machine will lay out, and
found there by the same key as one that was made there (``workers.snapshot``): a byte of the
packages, of workerd or the bundle more or less, and it is not used. Of the worker's own code
it holds the names of what that imports, nothing else.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Item
from pyodide_offline.session import Session
from pyodide_offline.workers import snapshot

# A file like another: a reader of an earlier release knows no kind of its own.
KIND = plans.KIND
_KEY = re.compile(r"(?:packages|neutral)-[0-9a-f]{64}")
# Far above any: one is 20 to 50 MB.
_LIMIT = 256 << 20


def unpack(session: Session, items: Sequence[Item], places: Mapping[str, Path]) -> None:
    """Put a kit's snapshots where a start looks for them; a damaged one is passed over."""
    for item in items:
        path = places.get(item.sha256)
        if item.kind == KIND and path is not None and _KEY.fullmatch(item.name):
            with suppress(IntegrityError, FileNotFoundError):
                _unpack(session, item, path)


def _unpack(session: Session, item: Item, path: Path) -> None:
    def produce(target: Path) -> Mapping[str, Any]:
        data = path.read_bytes()
        if digests.of_bytes(data).hex != item.sha256:
            raise IntegrityError(f"{item.file} in the store of kits is damaged.")
        opened = zlib.decompressobj()
        try:
            target.write_bytes(opened.decompress(data, _LIMIT))
        except zlib.error as error:
            raise IntegrityError(f"{item.file} cannot be opened.", why=f"{error}.") from error
        kind = snapshot.kind_of(target)
        if not opened.eof or opened.unused_data or kind is None:
            raise IntegrityError(f"{item.file} is no whole snapshot, or larger than any.")
        return {"source": "a kit", "tier": item.name.partition("-")[0], "type": kind}

    session.store.fill(snapshot.KIND, item.name, produce)
