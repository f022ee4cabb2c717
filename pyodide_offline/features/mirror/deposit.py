"""Content and its name go into the store together, and stay there together.

Content that no name stood for may be on its way out just when it gets one (`removal`): then
the run that removes it is waited for, and what it took is put there again.
"""

import asyncio
from pathlib import Path

from pyodide_offline.features.mirror import names, removal
from pyodide_offline.features.mirror.leases import Leases
from pyodide_offline.features.mirror.refbook import Refbook
from pyodide_offline.features.mirror.refs import Ref


class Deposit:
    """Puts into the store what a front has. Every method raises DepotDownError."""

    def __init__(self, refbook: Refbook, leases: Leases) -> None:
        self._refbook = refbook
        self._depot = refbook.depot
        self._leases = leases

    async def bring(self, ref: Ref, source: bytes | Path) -> None:
        """Have the store hold the content of a ref, not yet its name."""
        await self._depot.create(_key(ref), source)

    async def name(self, ref: Ref, source: bytes | Path) -> None:
        """Give content that was brought its name, unless a later one stands."""
        stands = await self._refbook.publish(ref)
        if stands.digest == ref.digest:
            await self._see_to(_key(ref), source)

    async def _see_to(self, key: str, source: bytes | Path) -> None:
        """See that content is there which has its name by now."""
        while (going := await removal.announced(self._depot)) is not None:
            if key not in going:
                await self._put_again(key, source)
                return
            if lease := await self._leases.take(removal.RUN):
                async with lease:  # of a run that was killed: nobody else need wait
                    await removal.announce(self._depot, ())
            else:
                await asyncio.sleep(self._leases.term / 6)

    async def _put_again(self, key: str, source: bytes | Path) -> None:
        if await self._depot.head(key) is None:
            await self._depot.create(key, source)


def _key(ref: Ref) -> str:
    return names.blob_key("sha256", ref.digest)
