"""Compressed files read in pieces."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable

import pytest

from pyodide_offline.archive.bounds import Bounds, Count, Refused
from pyodide_offline.archive.stream import Stream

DATA = os.urandom(300_000) + bytes(900_000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def _stream(data: bytes, bounds: Bounds | None = None) -> Stream:
    return Stream(io.BytesIO(data), Count(bounds or Bounds(), len(data)))


@pytest.mark.parametrize("name", PACKERS)
def test_every_byte_comes_whatever_the_compression(name: str) -> None:
    stream = _stream(PACKERS[name](DATA))
    pieces = [bytes(one) for one in stream.chunks(1_000_000)]
    assert max(map(len, pieces)) <= 1 << 18
    assert b"".join(pieces) == DATA[:1_000_000]
    stream.skip(100_000)
    assert (stream.take(100_000), stream.ended(), stream.place) == (bytes(100_000), True, 1_200_000)
    with pytest.raises(Refused, match="in the middle"):
        stream.take(1)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_an_end_that_is_missing_and_a_second_part(name: str) -> None:
    packed = PACKERS[name](DATA)
    with pytest.raises(Refused, match="in the middle"):
        _stream(packed[:-1]).drain()
    assert _stream(packed + packed + bytes(70_000)).take(len(DATA) * 2) == DATA + DATA
    with pytest.raises(Refused, match="after its compressed part"):
        _stream(packed + b"something").drain()


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_a_bomb_is_stopped_at_its_bounds_and_not_after(name: str) -> None:
    packed = PACKERS[name](bytes(20 << 20))
    stream = _stream(packed, Bounds(floor=1 << 20, ratio=1))
    with pytest.raises(Refused, match="unpacks to over"):
        stream.drain()
