"""What failed a moment ago, and is not tried again for some seconds."""

import time
from collections.abc import Callable

from pyodide_offline.errors import PyodideOfflineError

STANDS = 5.0  # seconds
MOST = 10_000


class Failed:
    """Errors by what was asked for."""

    def __init__(
        self, stands: float = STANDS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stands = stands
        self._clock = clock
        self._errors: dict[str, tuple[float, PyodideOfflineError]] = {}

    def check(self, key: str) -> None:
        """Raise the error that stands for this, if there is one."""
        if error := self.find(key):
            raise error.with_traceback(None)

    def find(self, key: str) -> PyodideOfflineError | None:
        """Return the error that stands for this."""
        found = self._errors.get(key)
        if found is None:
            return None
        if found[0] > self._clock():
            return found[1]
        del self._errors[key]
        return None

    def note(self, key: str, error: PyodideOfflineError) -> None:
        """Let an error stand for a while."""
        if len(self._errors) >= MOST:
            now = self._clock()
            self._errors = {name: one for name, one in self._errors.items() if one[0] > now}
        if len(self._errors) < MOST:
            self._errors[key] = (self._clock() + self._stands, error)

    def forget(self, key: str) -> None:
        """Let it be tried again at once."""
        self._errors.pop(key, None)
