"""A growing file: the end is held back until the digest is right, and failures reach all."""

import asyncio
import errno
import os
import threading
from collections.abc import Awaitable, Callable

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, NetworkError, StorageError
from pyodide_offline.features.mirror.growing import HELD, Growing, Spare

BODY = bytes(range(256)) * 1024  # 256 KiB
LENGTH = len(BODY)
SHA512 = digests.of_bytes(BODY, "sha512")


def made(tmp_path, *, expected=SHA512, limit=1 << 30, spare=None):
    path = tmp_path / "new"
    return Growing(path, label="it", expected=expected, limit=limit, spare=spare or Spare())


async def whole(file, start=0, stop=None):
    return b"".join([chunk async for chunk in file.chunks(start, stop)])


def fed(file, body=BODY, *, total=LENGTH, end=True):
    """Write in a thread, as an upstream's thread does; returns it started."""

    def write():
        try:
            file.begin(total)
            for place in range(0, len(body), 10_000):
                file.append(body[place : place + 10_000])
            if end:
                file.finish()
        except (IntegrityError, StorageError) as error:
            file.fail(error)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def played(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded():
        await asyncio.wait_for(scene(), 20)

    asyncio.run(bounded())


def test_many_readers_get_the_whole(tmp_path):
    async def scene():
        file = made(tmp_path)
        readers = [asyncio.ensure_future(whole(file)) for _ in range(50)]
        thread = fed(file)
        assert await asyncio.gather(*readers) == [BODY] * 50
        assert await file.settled() == digests.of_bytes(BODY)
        assert await whole(file, 100, 300) == BODY[100:300]
        assert file.file.read_bytes() == BODY
        thread.join()
        file.release()

    played(scene)


@pytest.mark.parametrize("total", [len(BODY), None], ids=["announced", "open"])
def test_the_end_is_held_back_until_the_digest_is_right(tmp_path, total):
    async def scene():
        file = made(tmp_path)
        reader = file.chunks()
        fed(file, total=total, end=False).join()
        got = b""
        while len(got) < len(BODY) - HELD:
            got += await anext(reader)
        assert len(got) == len(BODY) - HELD
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        assert not waiting.done()
        file.finish()
        assert got + await waiting == BODY
        with pytest.raises(StopAsyncIteration):
            await anext(reader)

    played(scene)


@pytest.mark.parametrize("size", [10, HELD, HELD + 1, len(BODY)])
def test_a_wrong_body_reaches_nobody_whole(tmp_path, size):
    async def scene():
        file = made(tmp_path)
        readers = [asyncio.ensure_future(keeping(file)) for _ in range(20)]
        fed(file, b"x" * size, total=size).join()
        for got, error in await asyncio.gather(*readers):
            assert isinstance(error, IntegrityError)
            assert len(got) == max(0, size - HELD)
        with pytest.raises(IntegrityError):
            await file.settled()

    async def keeping(file):
        got = b""
        try:
            async for chunk in file.chunks():
                got += chunk
        except IntegrityError as error:
            return got, error
        return got, None

    played(scene)


def test_a_failure_reaches_those_who_wait_and_those_who_come(tmp_path):
    async def scene():
        file = made(tmp_path)
        waiting = asyncio.ensure_future(file.length())
        await asyncio.sleep(0)
        file.fail(NetworkError("It broke."))
        for asked in (waiting, file.length(), file.settled(), whole(file)):
            with pytest.raises(NetworkError):
                await asked

    played(scene)


@pytest.mark.parametrize(
    ("total", "body", "limit"),
    [(5, b"123456", 100), (7, b"123456", 100), (None, b"123456", 5), (6, b"123456", 5)],
    ids=["more", "less", "limit", "announced-limit"],
)
def test_lengths_are_held(tmp_path, total, body, limit):
    async def scene():
        file = made(tmp_path, expected=None, limit=limit)
        fed(file, body, total=total).join()
        with pytest.raises(IntegrityError):
            await file.settled()

    played(scene)


def test_another_length_at_the_second_try_is_refused(tmp_path):
    async def scene():
        file = made(tmp_path)
        file.begin(10)
        file.begin(None)
        with pytest.raises(IntegrityError):
            file.begin(11)

    played(scene)


def test_a_full_disk_goes_on_in_memory(tmp_path, monkeypatch):
    async def scene():
        spare = Spare(len(BODY))
        file = made(tmp_path, spare=spare)
        reader = asyncio.ensure_future(whole(file))
        file.begin(len(BODY))
        file.append(BODY[:100_000])
        monkeypatch.setattr(os, "pwrite", full_on_disk(file))
        file.append(BODY[100_000:])
        file.finish()
        assert await reader == BODY
        assert file.in_memory
        assert not file.path.exists()
        assert file.file.read_bytes() == BODY
        assert not spare.take(1)
        file.release()
        assert spare.take(len(BODY))

    played(scene)


def test_no_room_in_memory_either_is_an_error(tmp_path, monkeypatch):
    async def scene():
        file = made(tmp_path, spare=Spare(10))
        monkeypatch.setattr(os, "pwrite", full_on_disk(file))
        fed(file).join()
        with pytest.raises(StorageError, match="no room"):
            await file.settled()

    played(scene)


def test_a_disk_that_takes_no_new_file_is_passed_by(tmp_path, monkeypatch):
    def refusing(*arguments):
        raise OSError(errno.ENOSPC, "full")

    async def scene():
        monkeypatch.setattr(os, "open", refusing)
        file = made(tmp_path)
        fed(file).join()
        assert await whole(file) == BODY

    played(scene)


def test_the_file_is_closed_with_its_last_user(tmp_path):
    async def scene():
        file = made(tmp_path)
        fed(file).join()
        reader = file.chunks()
        first = await anext(reader)
        file.release()
        file.path.unlink()
        assert first + b"".join([chunk async for chunk in reader]) == BODY
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(file._handle)

    played(scene)


def full_on_disk(file):
    real = os.pwrite

    def writing(handle, data, place):
        if not file.in_memory and handle == file._handle:
            raise OSError(errno.ENOSPC, "full")
        return real(handle, data, place)

    return writing
