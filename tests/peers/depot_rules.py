"""What every depot must do, whatever its engine: the same rules for the real and the fake."""

import asyncio
import os
from pathlib import Path

import pytest

from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.names import blob_key, lease_key, ref_key

_HEX = "ab" * 32


async def holds(depot: Depot, folder: Path) -> None:
    """Ask a fresh depot all that is promised."""
    await _content(depot, folder)
    await _swaps(depot)
    await _listing(depot)
    await _refuses_keys_that_lead_out(depot)


async def _content(depot: Depot, folder: Path) -> None:
    key, data = blob_key("sha256", _HEX), os.urandom(700_000)
    source = folder / "source"
    source.write_bytes(data)
    assert await depot.head(key) is None
    assert await depot.get(key) is None
    assert await depot.local_path(key) is None
    with pytest.raises(KeyError):
        await read(depot, key)
    assert await depot.create(key, source)
    assert not await depot.create(key, b"another")
    assert not await depot.create(key, source)
    found = await depot.head(key)
    assert found is not None
    assert (found.key, found.size) == (key, len(data))
    assert await read(depot, key) == data
    assert await read(depot, key, 5, 300_005) == data[5:300_005]
    assert await read(depot, key, 699_999) == data[699_999:]
    if (path := await depot.local_path(key)) is not None:
        assert path.read_bytes() == data
    await depot.remove(key)
    await depot.remove(key)
    assert await depot.head(key) is None
    assert await depot.create(key, b"")
    assert await read(depot, key) == b""
    assert (await present(depot, key))[0] == b""


async def _swaps(depot: Depot) -> None:
    key = ref_key("npm", "@scope/Name")
    first = await depot.swap(key, b"one", None)
    assert first is not None
    assert await depot.swap(key, b"two", None) is None
    assert await depot.get(key) == (b"one", first)
    second = await depot.swap(key, b"two", first)
    assert second not in (None, first)
    assert await depot.swap(key, b"three", first) is None
    assert await depot.get(key) == (b"two", second)
    entry = await depot.head(key)
    assert entry is not None
    assert entry.etag == second
    await depot.remove(key)
    assert await depot.get(key) is None
    assert await depot.swap(key, b"four", second) is None


async def _listing(depot: Depot) -> None:
    keys = {ref_key("npm", name) for name in ("a", "b/c", "B")} | {ref_key("npm2", "d")}
    for key in keys:
        assert await depot.create(key, key.encode())
    wanted = {key for key in keys if not key.startswith("refs/npm2/")}
    assert {one.key async for one in depot.list("refs/npm/")} == wanted
    tried = ref_key("depot", "tried")  # of who opened it
    assert {one.key async for one in depot.list("refs/")} - {tried} == keys
    assert keys < {one.key async for one in depot.list("")}
    assert [one async for one in depot.list("refs/none/")] == []
    sizes = {one.key: one.size async for one in depot.list("refs/")}
    sizes.pop(tried, None)
    assert sizes == {key: len(key) for key in keys}


async def _refuses_keys_that_lead_out(depot: Depot) -> None:
    for bad in ("../x", "refs/../../x", "/etc/passwd", "refs//x", "", "refs/.hidden", "a\0b"):
        with pytest.raises(ValueError, match="not a key"):
            await depot.get(bad)
        with pytest.raises(ValueError, match="not a key"):
            await depot.create(bad, b"")
    with pytest.raises(ValueError, match="ends with"):
        [one async for one in depot.list("refs")]


async def one_wins(depot: Depot, others: list[Depot] | None = None, racers: int = 20) -> None:
    """Many create one key at once, as many swap one value at once: one of each wins."""
    depots = [depot, *(others or [])]
    asked = [depots[number % len(depots)] for number in range(racers)]
    key = lease_key("race")
    created = await asyncio.gather(
        *(one.create(key, str(number).encode()) for number, one in enumerate(asked))
    )
    assert sum(created) == 1
    value, etag = await present(depot, key)
    assert value == str(created.index(True)).encode()
    swapped = await asyncio.gather(
        *(one.swap(key, f"new {number}".encode(), etag) for number, one in enumerate(asked))
    )
    winners = [number for number, new in enumerate(swapped) if new is not None]
    assert len(winners) == 1
    assert await present(depot, key) == (f"new {winners[0]}".encode(), swapped[winners[0]])


async def present(depot: Depot, key: str) -> tuple[bytes, str]:
    """Return what must be there."""
    found = await depot.get(key)
    assert found is not None
    return found


async def read(depot: Depot, key: str, start: int = 0, stop: int | None = None) -> bytes:
    """Return what a depot streams."""
    return b"".join([one async for one in depot.read(key, start=start, stop=stop)])
