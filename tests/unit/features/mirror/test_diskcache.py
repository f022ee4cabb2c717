import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from io import FileIO
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.errors import DepotDownError, IntegrityError, StorageError
from pyodide_offline.features.mirror.diskcache import DiskCache
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.names import blob_key
from tests.peers.depots import MemoryDepot

_DATA = os.urandom(1 << 20)
_DIGEST = digests.of_bytes(_DATA)


def _key(digest: Digest = _DIGEST) -> str:
    return blob_key(digest.algorithm, digest.hex)


class Counting(MemoryDepot):
    """Counts how often content is read, and may give wrong bytes so many times."""

    def __init__(self, wrong: int = 0) -> None:
        super().__init__()
        self.reads = 0
        self.wrong = wrong

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        self.reads += 1
        self.wrong -= 1
        async for data in super().read(key, start=start, stop=stop):
            await asyncio.sleep(0)
            yield bytes(len(data)) if self.wrong >= 0 else data


def _play(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


def test_a_blob_comes_out_of_the_depot_once_for_all_who_wait(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Counting()
        cache = DiskCache(tmp_path, depot)
        assert await cache.path(_DIGEST) is None
        await depot.create(_key(), _DATA)
        depot.reads = 0
        paths = await asyncio.gather(*(cache.path(_DIGEST) for _ in range(20)))
        assert depot.reads == 1
        assert len(set(paths)) == 1
        assert paths[0] is not None
        assert paths[0].read_bytes() == _DATA
        depot.down = True
        assert await cache.path(_DIGEST) == paths[0] == cache.known(_DIGEST)
        assert await DiskCache(tmp_path, depot).path(_DIGEST) == paths[0]
        with pytest.raises(DepotDownError):
            await cache.path(digests.of_bytes(b"another"))
        assert list((tmp_path / "v1" / "tmp").iterdir()) == []

    _play(test)


def test_one_who_goes_away_takes_it_from_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Counting()
        await depot.create(_key(), _DATA)
        cache = DiskCache(tmp_path, depot)
        first, second = (asyncio.create_task(cache.path(_DIGEST)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is not None
        assert depot.reads == 1

    _play(test)


def test_the_unchanged_is_not_read_again_and_any_change_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    of_file = digests.of_file

    def count(path: Path, algorithm: str = "sha256") -> Digest:
        hashed.append(path)
        return of_file(path, algorithm)

    monkeypatch.setattr(digests, "of_file", count)

    async def test() -> None:
        depot = Counting()
        await depot.create(_key(), _DATA)
        told: list[tuple[str, str]] = []
        cache = DiskCache(tmp_path, depot, damaged=lambda key, where: told.append((key, where)))
        path = await cache.path(_DIGEST)
        assert path is not None
        for _ in range(5):
            assert await cache.path(_DIGEST) == path
        assert hashed == []
        before = path.stat()
        _flip(path, 12345)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert await cache.path(_DIGEST) == path
        assert path.read_bytes() == _DATA
        assert told == [(_key(), "cache")]
        assert depot.reads == 2

    _play(test)


def test_flipped_bits_in_a_folder_depot_are_never_handed_out(tmp_path: Path) -> None:
    async def test() -> None:
        depot = FolderDepot(tmp_path / "depot")
        told: list[str] = []
        cache = DiskCache(tmp_path / "cache", depot, damaged=lambda _, where: told.append(where))
        await depot.create(_key(), _DATA)
        path = await cache.path(_DIGEST)
        assert path == await depot.local_path(_key())
        assert path is not None
        _flip(path, len(_DATA) - 1)
        assert await cache.path(_DIGEST) is None
        assert told == [depot.label]
        assert await depot.create(_key(), _DATA)
        assert await cache.path(_DIGEST) == path
        assert not any((tmp_path / "cache" / "v1").rglob("*.*"))
        await depot.close()

    _play(test)


def test_wrong_bytes_of_a_depot_are_asked_for_again_and_then_dropped(tmp_path: Path) -> None:
    async def test() -> None:
        told: list[str] = []
        depot = Counting(wrong=1)
        await depot.create(_key(), _DATA)
        cache = DiskCache(tmp_path, depot, damaged=lambda key, _: told.append(key))
        assert await cache.path(_DIGEST) is not None
        assert told == []
        depot = Counting(wrong=2)
        await depot.create(_key(), _DATA)
        cache = DiskCache(tmp_path / "2", depot, damaged=lambda key, _: told.append(key))
        assert await cache.path(_DIGEST) is None
        assert told == [_key()]
        assert _key() not in depot.values

    _play(test)


def test_a_finished_file_is_taken_in_only_with_its_digest(tmp_path: Path) -> None:
    async def test() -> None:
        cache = DiskCache(tmp_path, MemoryDepot())
        with cache.unfinished() as temporary:
            temporary.write_bytes(b"something else")
            with pytest.raises(IntegrityError):
                await cache.admit(_DIGEST, temporary)
        assert await cache.path(_DIGEST) is None
        with cache.unfinished() as temporary:
            temporary.write_bytes(_DATA)
            path = await cache.admit(_DIGEST, temporary)
        assert await cache.path(_DIGEST) == path == cache.known(_DIGEST)
        assert path.stat().st_mode & 0o777 == 0o444
        assert list((tmp_path / "v1" / "tmp").iterdir()) == []

    _play(test)


def test_a_full_disk_makes_it_give_way_and_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True

    def flush(self: DiskCache, file: FileIO, data: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(data)

    monkeypatch.setattr(DiskCache, "_write", flush)

    async def test() -> None:
        nonlocal full
        depot = MemoryDepot()
        await depot.create(_key(), _DATA)
        cache = DiskCache(tmp_path, depot)
        with pytest.raises(StorageError, match="full"):
            await cache.path(_DIGEST)
        assert list((tmp_path / "v1" / "tmp").iterdir()) == []
        full = False
        assert await cache.path(_DIGEST) is not None

    _play(test)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_writing_to_a_full_disk_asks_the_shelf_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DiskCache(tmp_path, MemoryDepot())
    asked: list[int] = []

    def give_way(wanted: int) -> bool:
        asked.append(wanted)
        return False

    monkeypatch.setattr(cache.shelf, "give_way", give_way)
    with (
        pytest.raises(OSError, match="No space"),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        cache._write(file, b"x" * 100)
    assert asked == [100]


def _flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
