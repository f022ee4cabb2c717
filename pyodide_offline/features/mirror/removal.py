"""What is about to go out of a store, announced, so that no front loses what it names meanwhile.

    refs/prune/announced    the contents that the run under way may remove; `[]` after its end

1. One run at a time: it has the lease RUN from its beginning to its end.
2. It announces what it may remove, and only then reads the names; what one stands for stays.
3. A front gives content its name, and only then reads what is announced.

So either the run sees the name, or the front sees the announcement, or the run has ended. Who
finds content announced to which it gave a name waits for the run's end and looks whether it is
still there. That needs a store that gives at once what was written: all that are tried do.
"""

import json
from collections.abc import Iterable

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot

RUN = "prune"
ANNOUNCED = names.ref_key("prune", "announced")
_TRIES = 5


async def announced(depot: Depot) -> frozenset[str] | None:
    """Return the keys of contents that may go just now; None where none ever went.

    Raises DepotDownError.
    """
    found = await depot.get(ANNOUNCED)
    return None if found is None else _keys(found[0])


async def announce(depot: Depot, keys: Iterable[str]) -> None:
    """Say what may go from now on, in place of what was said. Raises DepotDownError."""
    wanted = frozenset(keys)
    value = json.dumps(sorted(wanted)).encode()
    for _ in range(_TRIES):
        found = await depot.get(ANNOUNCED)
        if found[0] == value if found else not wanted:
            return
        if await depot.swap(ANNOUNCED, value, found[1] if found else None) is not None:
            return
    raise DepotDownError(
        f"The mirror's store ({depot.label}) does not keep what is announced to it.",
        next_step="See that no other run of `mirror prune` is at work, then run it again.",
    )


def _keys(value: bytes) -> frozenset[str]:
    try:
        return frozenset(str(key) for key in json.loads(value))
    except (ValueError, TypeError):
        return frozenset()
