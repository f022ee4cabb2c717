"""The bytes of a compressed file, a piece at a time and counted: never more at once."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from pyodide_offline.archive.bounds import Count, Refused

_INPUT, _OUTPUT = 1 << 16, 1 << 18
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
# What a decompressor may take for itself: xz -9 needs 65 MiB.
_XZ_MEMORY = 128 << 20


class _Inflater(Protocol):
    """What bz2's and lzma's decompressors do; ``_Gzip`` does it, too."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Stream:
    """Decompressed bytes, from the start to the end. Raises Refused."""

    def __init__(self, file: BinaryIO, count: Count) -> None:
        self._source, self._count = file, count
        self._input = file.read(_INPUT)
        self._first = self._input[:6]
        self._inflater = _inflater(self._first)
        self._buffer = memoryview(b"")
        self.place = 0

    def chunks(self, size: int) -> Iterator[memoryview]:
        """Yield ``size`` bytes in pieces. Raises Refused where there are fewer."""
        while size:
            if not self._buffer and not self._more():
                raise Refused("it ends in the middle")
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            self.place += len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        """Return ``size`` bytes; for what is small."""
        return b"".join(self.chunks(size))

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        for _ in self.chunks(size):
            pass

    def ended(self) -> bool:
        """Say whether nothing comes any more."""
        return not self._buffer and not self._more()

    def drain(self) -> None:
        """Read to the end, so that the checksum there is compared."""
        while not self.ended():
            self._buffer = memoryview(b"")

    def _more(self) -> bool:
        """Make the next piece; False at the end."""
        data = b""
        while not data:
            if self._inflater is None:
                data, self._input = self._input or self._source.read(_OUTPUT), b""
                if not data:
                    return False
            elif self._inflater.eof:
                if not self._again():
                    return False
            else:
                if self._inflater.needs_input and not self._input:
                    self._input = self._source.read(_INPUT)
                    if not self._input:
                        raise Refused("it ends in the middle")
                data = self._inflater.decompress(self._input, _OUTPUT)
                self._input = b""
        self._count.grown(len(data))
        self._buffer = memoryview(data)
        return True

    def _again(self) -> bool:
        """Begin the next of several compressed parts, if there is one."""
        assert self._inflater is not None  # noqa: S101 - asked before
        rest = self._inflater.unused_data or self._source.read(_INPUT)
        while rest and not rest.strip(b"\0"):  # zeros, as on a tape
            rest = self._source.read(_INPUT)
        if not rest:
            return False
        self._inflater, self._input = _inflater(rest[:6]), rest
        if self._inflater is None:
            raise Refused("something comes after its compressed part")
        return True


class _Gzip:
    """One part of a gzip file (RFC 1952); zlib compares its checksum."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _inflater(start: bytes) -> _Inflater | None:
    """Return what decompresses a file that begins so; None for a plain one."""
    if start.startswith(_GZIP):
        return _Gzip()
    if start.startswith(_BZIP2):
        import bz2

        return bz2.BZ2Decompressor()
    if start.startswith(_XZ):
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return None
