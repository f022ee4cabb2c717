import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.names import blob_key, ref_key
from tests.peers import depot_rules

_KEY = ref_key("npm", "x")
_WRITE_FOREVER = """
import asyncio, os, sys
from hashlib import sha256
from pathlib import Path
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.names import blob_key
async def main():
    depot = FolderDepot(Path(sys.argv[1]))
    while True:
        data = os.urandom(2_000_000)
        name = sha256(data).hexdigest()
        assert await depot.create(blob_key("sha256", name), data)
        print(name, flush=True)
asyncio.run(main())
"""


def test_holds_to_the_rules(tmp_path: Path) -> None:
    async def play() -> None:
        depot = FolderDepot(tmp_path / "depot")
        try:
            await depot_rules.holds(depot, tmp_path)
        finally:
            await depot.close()

    asyncio.run(play())


def test_one_of_many_wins_over_several_fronts(tmp_path: Path) -> None:
    async def play() -> None:
        fronts = [FolderDepot(tmp_path / "depot") for _ in range(3)]
        await depot_rules.one_wins(fronts[0], list(fronts[1:]))
        for front in fronts:
            await front.close()

    asyncio.run(play())


def test_one_of_many_wins_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    async def play() -> None:
        fronts = [FolderDepot(tmp_path / "depot") for _ in range(2)]
        await depot_rules.holds(fronts[0], tmp_path)
        await depot_rules.one_wins(fronts[0], list(fronts[1:]))
        for front in fronts:
            await front.close()

    asyncio.run(play())


def test_files_are_read_only_and_nothing_is_left_beside(tmp_path: Path) -> None:
    async def play() -> None:
        depot = FolderDepot(tmp_path)
        assert await depot.create(_KEY, b"one")
        assert not await depot.create(_KEY, b"two")
        etag = (await depot_rules.present(depot, _KEY))[1]
        assert await depot.swap(_KEY, b"three", etag)
        path = await depot.local_path(_KEY)
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        await depot.close()

    asyncio.run(play())
    assert list((tmp_path / "v1" / "tmp").iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot = FolderDepot(tmp_path)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def play() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(DepotDownError, match="No space left"):
                await depot.create(_KEY, b"one")
        assert await depot.get(_KEY) is None
        assert await depot.create(_KEY, b"one")
        await depot.close()

    asyncio.run(play())
    assert list((tmp_path / "v1" / "tmp").iterdir()) == []


def test_a_flipped_bit_in_a_value_is_told(tmp_path: Path) -> None:
    async def play() -> None:
        depot = FolderDepot(tmp_path)
        assert await depot.create(_KEY, b"one")
        path = await depot.local_path(_KEY)
        assert path is not None
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"one", b"onf"))
        with pytest.raises(DepotDownError, match="damaged"):
            await depot.get(_KEY)
        with pytest.raises(DepotDownError, match="damaged"):
            await depot.swap(_KEY, b"two", "etag")
        await depot.remove(_KEY)
        assert await depot.create(_KEY, b"one")
        await depot.close()

    asyncio.run(play())


def test_a_part_that_cannot_be_listed_is_no_empty_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what its names stand for would be taken for content that nobody needs."""
    scan = os.scandir

    def broken(path: str) -> object:
        if path.endswith("npm-full"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return scan(path)

    async def play() -> None:
        depot = FolderDepot(tmp_path)
        await depot.create(ref_key("npm-full", "a"), b"value")
        assert [one.key async for one in depot.list("refs/")] == [ref_key("npm-full", "a")]
        monkeypatch.setattr(os, "scandir", broken)
        with pytest.raises(DepotDownError, match="Input/output error"):
            [one async for one in depot.list("refs/")]

    asyncio.run(play())


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DepotDownError, match="cannot be used"):
        FolderDepot(tmp_path / "file")


def test_leftovers_go_when_they_are_old_only(tmp_path: Path) -> None:
    FolderDepot(tmp_path)
    old, new = (tmp_path / "v1" / "tmp" / name for name in ("old", "new"))
    for path in (old, new):
        path.write_text("")
    yesterday = time.time() - 2 * 24 * 3600
    os.utime(old, (yesterday, yesterday))
    FolderDepot(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_killed_while_writing_it_has_whole_files_only(tmp_path: Path) -> None:
    from hashlib import sha256

    child = subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOREVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        told = [child.stdout.readline().strip() for _ in range(3)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().split()

    async def play() -> None:
        depot = FolderDepot(tmp_path)
        held = [one.key async for one in depot.list("blobs/")]
        assert {blob_key("sha256", name) for name in told} <= set(held)
        for key in held:
            data = await depot_rules.read(depot, key)
            assert key.endswith(sha256(data).hexdigest())
        await depot.close()

    asyncio.run(play())
