"""A file that comes in several answers: what is there of it, and how to ask for the rest.

Only a strong validator tells that the rest is of the same file (RFC 9110 §13.1.5): without
an ETag, or with a weak one, it is fetched again whole. The digest is over all of it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pyodide_offline.digest import Digest, of_bytes

_BEGINNING = 512  # bytes that tell a web page
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class AnotherPartError(Exception):
    """The server sends another part than the one that was asked for."""


class Partial:
    """``size`` is what has been written, in bytes, ``beginning`` the first of them.

    Open while it is used as a context.
    """

    def __init__(self, target: Path, digest: Digest | None) -> None:
        self.size = 0
        self.beginning = b""
        self._target = target
        self._wanted = digest
        self._etag = ""
        self._file: IO[bytes] | None = None
        self._start_hashes()

    def __enter__(self) -> Self:
        self._file = self._target.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            self._file.close()

    def asking(self) -> dict[str, str]:
        """Return the headers that ask for the rest; none: for all of it."""
        if not self.size or not self._etag:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self._etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of an answer: the rest, or all of it once more.

        Raises AnotherPartError, with nothing kept.
        """
        if status != 206:
            self.restart()
            tag = headers.get("ETag", "")
            bytes_can_be_asked_for = headers.get("Accept-Ranges", "bytes").lower() == "bytes"
            self._etag = tag if re.fullmatch(r'"[^"]*"', tag) and bytes_can_be_asked_for else ""
            return
        found = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if not found or int(found[1]) != self.size:
            self.restart()
            raise AnotherPartError(headers.get("Content-Range", "no Content-Range"))

    def write(self, chunk: bytes) -> None:
        """Add what came."""
        assert self._file is not None  # noqa: S101 - for mypy
        self._file.write(chunk)
        self.beginning += chunk[: _BEGINNING - len(self.beginning)]
        self._plain.update(chunk)
        if self._hash:
            self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget what was written."""
        self._etag = ""
        if self.size and self._file:
            self._file.seek(0)
            self._file.truncate()
        self.size, self.beginning = 0, b""
        self._start_hashes()

    def digests(self) -> tuple[Digest, Digest | None]:
        """Return the sha256, and the digest of the kind that is wanted."""
        plain = Digest("sha256", self._plain.digest())
        if self._wanted and self._hash:
            return plain, Digest(self._wanted.algorithm, self._hash.digest())
        return plain, None

    def _start_hashes(self) -> None:
        self._plain = of_bytes(b"").hasher()
        self._hash = self._wanted.hasher() if self._wanted else None
