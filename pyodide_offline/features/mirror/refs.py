"""What a name of an upstream means: which content, and when that was asked. Pure.

A ref is small canonical JSON in the depot; the content lies under its digest. A ref of a
package file never changes; one of an index is swapped when the upstream has another.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from pyodide_offline.errors import StorageError

LARGEST = 64_000  # bytes
# Kinds of values beside them that are no names of upstreams'.
OWN = frozenset({"chain", "chain-head", "pins", "pending", "health", "depot", "prune"})


@dataclass(frozen=True)
class Ref:
    """One name of one kind, and the content (``digest``: sha256 in hex) that it stands for.

    ``integrity`` is what the upstream itself says of the content, ``fetched`` the second in
    which it last said that this is it; ``etag`` and ``modified`` are its validators.
    """

    kind: str
    name: str
    digest: str
    size: int
    content_type: str
    fetched: int
    integrity: str = ""
    etag: str = ""
    modified: str = ""

    def encode(self) -> bytes:
        """Return it as canonical JSON: the same ref is the same bytes."""
        optional = ("integrity", "etag", "modified")
        record = {name: said for name, said in vars(self).items() if said or name not in optional}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    def asked_again(self, now: int) -> "Ref":
        """Return it as of a moment in which the upstream said that nothing has changed."""
        return replace(self, fetched=max(now, self.fetched))


def decode(data: bytes, kind: str, name: str) -> Ref:
    """Read a ref of this kind and name. Raises StorageError for anything else."""
    try:
        record: dict[str, Any] = json.loads(data) if len(data) <= LARGEST else {}
        ref = Ref(**record)
        sound = (
            len(record) >= 6
            and _typed(record)
            and (ref.kind, ref.name) == (kind, name)
            and len(bytes.fromhex(ref.digest)) == 32
            and ref.digest == ref.digest.lower()
            and ref.size >= 0
        )
    except (ValueError, TypeError, RecursionError):
        sound = False
        ref = Ref(kind, name, "", 0, "", 0)
    if not sound:
        raise StorageError(
            f"What the store holds as {kind} {name} is no ref.",
            why="It was written by something else, or damaged.",
            next_step="Type: pyodide-offline mirror audit",
        )
    return ref


def _typed(record: dict[str, Any]) -> bool:
    numbers = {"size", "fetched"}
    return all(type(value) is (int if name in numbers else str) for name, value in record.items())
