"""One at a time for each key, among all threads, tasks and processes of this machine."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from zlib import crc32

_LANES = 64
_LOOK_AGAIN_S = 0.003


class Turnstile:
    """Lock files in a folder, few enough to stay, chosen by the key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lanes = [threading.Lock() for _ in range(_LANES)]

    @contextmanager
    def passing(self, key: str) -> Iterator[None]:
        """Wait until nobody else passes with this key, then be the one who does."""
        lane = _lane(key)
        with self._lanes[lane]:
            handle = _opened(self._folder / f"{lane:02x}")
            try:
                _locked(handle, wait=True)
                yield
            finally:
                os.close(handle)

    @asynccontextmanager
    async def passed(self, key: str) -> AsyncIterator[None]:
        """Do the same in a task: it holds no thread, which those who pass may need."""
        lane = _lane(key)
        while not self._lanes[lane].acquire(blocking=False):
            await asyncio.sleep(_LOOK_AGAIN_S)
        try:
            handle = _opened(self._folder / f"{lane:02x}")
            try:
                while not _locked(handle, wait=False):
                    await asyncio.sleep(_LOOK_AGAIN_S)
                yield
            finally:
                os.close(handle)
        finally:
            self._lanes[lane].release()


def _lane(key: str) -> int:
    return crc32(key.encode()) % _LANES


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


def _locked(handle: int, *, wait: bool) -> bool:
    """Lock a file until its handle is closed; where a system cannot, threads alone wait."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
