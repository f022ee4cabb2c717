"""One at a time for each key, among all threads and processes of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

_LANES = 64
# Only another process is waited for in this way; threads of this one wait for each other.
_LOOK_AGAIN_S = 0.005


class Turnstile:
    """Lock files in a folder, few enough to stay, chosen by the key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lanes = [threading.Lock() for _ in range(_LANES)]

    @contextmanager
    def passing(self, key: str) -> Iterator[None]:
        """Wait until nobody else passes with this key, then be the one who does."""
        from filelock import FileLock

        lane = crc32(key.encode()) % _LANES
        with (
            self._lanes[lane],
            FileLock(self._folder / f"{lane:02x}", poll_interval=_LOOK_AGAIN_S),
        ):
            yield
