"""Refs as this front knows them: in the depot, and remembered, so that a front whose depot
is down goes on with what it has seen.
"""

from collections import OrderedDict

from pyodide_offline.errors import DepotDownError, StorageError
from pyodide_offline.features.mirror import names, refs
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.notebook import Notebook
from pyodide_offline.features.mirror.refs import Ref

MOST = 50_000
_TRIES = 5


class Refbook:
    """Reads and publishes refs. What is remembered is bounded; the oldest go first."""

    def __init__(
        self, depot: Depot, events: Events, most: int = MOST, notebook: Notebook | None = None
    ) -> None:
        self.depot = depot
        self._notebook = notebook
        self._events = events
        self._most = most
        self._known: OrderedDict[tuple[str, str], Ref] = OrderedDict()

    def known(self, kind: str, name: str) -> Ref | None:
        """Return what is remembered, without a look into the depot."""
        return self._known.get((kind, name))

    async def read(self, kind: str, name: str) -> Ref | None:
        """Return the depot's ref; what is remembered, or was noted before this front was started,
        where the depot is down and there is any.

        Raises DepotDownError. A ref that cannot be read counts as none.
        """
        try:
            found = await self.depot.get(names.ref_key(kind, name))
        except DepotDownError as error:
            if known := self.known(kind, name) or self._noted(kind, name):
                return known
            self._events.error("depot", error)
            raise
        ref = self._decoded(found[0], kind, name) if found else None
        if ref:
            self.remember(ref)
        return ref

    async def publish(self, ref: Ref) -> Ref:
        """Give a name this content, unless another front gave it a later one; return what stands.

        Raises DepotDownError; then it is remembered here all the same.
        """
        self.remember(ref)
        key, value = names.ref_key(ref.kind, ref.name), ref.encode()
        etag = await self.depot.swap(key, value, None)
        for _ in range(_TRIES):
            if etag is not None:
                return ref
            found = await self.depot.get(key)
            there = self._decoded(found[0], ref.kind, ref.name) if found else None
            if there and there.fetched > ref.fetched:
                self.remember(there)
                return there
            etag = await self.depot.swap(key, value, found[1] if found else None)
        return ref

    def remember(self, ref: Ref) -> None:
        """Keep a ref in memory."""
        key = ref.kind, ref.name
        self._known[key] = ref
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def note(self, kind: str, name: str) -> None:
        """Keep what is remembered on this disk, for a start while the depot is down: it was
        found to be right.
        """
        ref = self.known(kind, name)
        if ref and self._notebook is not None:
            self._notebook.note(ref)

    def forget(self, kind: str, name: str) -> None:
        """Ask the depot again for what a name stands for."""
        self._known.pop((kind, name), None)

    def _noted(self, kind: str, name: str) -> Ref | None:
        ref = self._notebook.find(kind, name) if self._notebook is not None else None
        if ref:
            self.remember(ref)
        return ref

    def _decoded(self, data: bytes, kind: str, name: str) -> Ref | None:
        try:
            return refs.decode(data, kind, name)
        except StorageError as error:
            self._events.error("depot", error)
            return None
