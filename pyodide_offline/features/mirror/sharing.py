"""A fetch under way, shown to other fronts through the depot.

    shares/<name>/wanted        a front waits for this: only then anything is shared
    shares/<name>/head          which fetch, how many pieces, how long, whether it failed
    shares/<name>/<token>/<n>   the pieces, in order

Who fetches writes pieces while others wait; who waits reads them, and takes the rest from
the content itself once that is there. A piece is never more than readers may have, so the
end that is held back is not in any. All of it goes when the fetch ends.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from pyodide_offline.errors import DepotDownError, NetworkError, PyodideOfflineError, RegistryError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.growing import Growing

SHARES = "shares/"
PAUSE = 0.15  # seconds between two looks at what a fetch has got
PIECE = 4 << 20
_FAILURE_STANDS = 3.0  # seconds in which others hear of a failure


def _place(name: str) -> str:
    return f"{SHARES}{names.quoted(name)}"


class Sharing:
    """The side of the front that fetches: a task beside the fetch, from start to end."""

    def __init__(self, depot: Depot, name: str, growing: Growing) -> None:
        self._depot = depot
        self._base = _place(name)
        self._growing = growing
        self._token = os.urandom(8).hex()
        self._etag: str | None = None
        self._pieces = 0
        self._size = 0
        self._task = asyncio.create_task(self._run())

    async def end(self, error: PyodideOfflineError | None = None) -> None:
        """Stop sharing; tell those who wait why, if there is nothing to come."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, DepotDownError):
            await self._task
        with contextlib.suppress(DepotDownError):
            wanted = await self._depot.head(f"{self._base}/wanted") is not None
            if error and (wanted or self._etag):
                await self._tell(error)
                await asyncio.sleep(_FAILURE_STANDS)
            if wanted or self._etag:
                await self._clear()

    async def _run(self) -> None:
        while await self._depot.head(f"{self._base}/wanted") is None:
            await asyncio.sleep(PAUSE)
        async for chunk in _gathered(self._growing):
            await self._depot.create(f"{self._base}/{self._token}/{self._pieces}", chunk)
            self._pieces += 1
            self._size += len(chunk)
            await self._tell()

    async def _tell(self, error: PyodideOfflineError | None = None) -> None:
        record: dict[str, Any] = {
            "token": self._token,
            "pieces": self._pieces,
            "size": self._size,
            "total": self._growing.total,
        }
        if error:
            record |= {"error": error.what[:500], "status": error.facts.get("status")}
        key, value = f"{self._base}/head", json.dumps(record).encode()
        self._etag = await self._depot.swap(key, value, self._etag)
        if self._etag is None:  # what an earlier fetch left, or a lost answer
            found = await self._depot.get(key)
            self._etag = await self._depot.swap(key, value, found[1] if found else None)

    async def _clear(self) -> None:
        async for entry in self._depot.list(f"{self._base}/"):
            await self._depot.remove(entry.key)


class Watching:
    """The side of a front that waits: feeds a growing file with what another one shares."""

    def __init__(self, depot: Depot, name: str, growing: Growing) -> None:
        self._depot = depot
        self._base = _place(name)
        self._growing = growing
        self._token = ""
        self._pieces = 0
        self._size = 0  # bytes of this fetch that were seen

    async def want(self) -> None:
        """Let the front that fetches know that somebody waits."""
        await self._depot.create(f"{self._base}/wanted", b"1")

    async def look(self) -> bool:
        """Take what is new; say whether there was something.

        Raises what the fetch failed with there, and what the file raises.
        """
        found = await self._depot.get(f"{self._base}/head")
        if found is None:
            return False
        try:
            head = json.loads(found[0])
            token, pieces = str(head["token"]), int(head["pieces"])
            total, error = head["total"], str(head.get("error", ""))
            status = head.get("status")
        except (ValueError, KeyError, TypeError):
            return False
        if error:
            kind = RegistryError if isinstance(status, int) else NetworkError
            raise kind(error, why="Another front was told so.", facts={"status": status})
        if token != self._token:
            self._token, self._pieces, self._size = names.quoted(token), 0, 0
        if isinstance(total, int):
            self._growing.begin(total)
        news = False
        while self._pieces < pieces:
            piece = b"".join(
                [one async for one in self._read(f"{self._base}/{self._token}/{self._pieces}")]
            )
            if not piece:
                return news
            # A second fetch begins at the start again: what is there already is not repeated.
            fresh = piece[max(0, self._growing.size - self._size) :]
            self._size += len(piece)
            self._pieces += 1
            if fresh:
                await asyncio.to_thread(self._growing.append, fresh)
            news = True
        return news

    async def _read(self, key: str) -> AsyncIterator[bytes]:
        with contextlib.suppress(KeyError):  # gone: the fetch has ended meanwhile
            async for chunk in self._depot.read(key):
                yield chunk


async def _gathered(growing: Growing) -> AsyncIterator[bytes]:
    """Yield what readers may have, in few pieces: what came in one pause each."""
    place = 0
    while growing.digest is None and growing.error is None:
        if growing.readable > place:
            stop = min(growing.readable, place + PIECE)
            yield b"".join([chunk async for chunk in growing.chunks(place, stop)])
            place = stop
        else:
            await asyncio.sleep(PAUSE)
