"""Pipes that are lent, and the way through them."""

import asyncio
import errno
import fcntl
import os
import sys

import pytest

from pyodide_offline.network import splice
from tests.unit.network.planes import between

pytestmark = pytest.mark.skipif(not splice.possible(), reason="nothing splices here")


def test_a_pipe_is_as_large_as_it_may_be():
    pipe = splice.Pipe()
    try:
        assert 4096 <= pipe.size <= splice.PIPE_SIZE
        assert os.write(pipe.into, b"x" * 4096) == 4096
    finally:
        pipe.close()


def test_where_a_large_pipe_is_not_allowed_a_smaller_one_does(monkeypatch):
    real = fcntl.fcntl

    def limited(end, what, size=0):
        if what == 1031 and size > 1 << 16:
            raise OSError(errno.EPERM, "used up")
        return real(end, what, size)

    monkeypatch.setattr(fcntl, "fcntl", limited)
    pipe = splice.Pipe()
    pipe.close()
    assert pipe.size == 1 << 16


def test_pipes_are_used_again_and_closed():
    pipes = splice.Pipes()
    pipe = pipes.take()
    pipes.give(pipe)
    assert pipes.take() is pipe
    more = [pipes.take() for _ in range(40)]
    for one in [pipe, *more]:
        pipes.give(one)
    pipes.close()
    for one in [pipe, *more]:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(one.into)


def test_a_quiet_tunnel_holds_no_pipe(monkeypatch):
    made = []
    real = splice.Pipe

    def counted():
        made.append(real())
        return made[-1]

    monkeypatch.setattr(splice, "Pipe", counted)

    async def play():
        async with between("splice") as ends:
            await ends.client.send(b"x")
            await ends.target.exactly(1)
            for _ in range(20):
                await ends.target.send(b"y")
                await ends.client.exactly(1)
            assert len(made) == 1  # one for all that was said, one after the other

    asyncio.run(play())


def test_no_files_left_is_an_end_not_a_fault(monkeypatch):
    def none():
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(splice, "Pipe", none)

    async def play():
        async with between("splice") as ends:
            await ends.client.send(b"x")
            with pytest.raises(ConnectionResetError):
                await ends.client.read()

    asyncio.run(play())


def test_elsewhere_nothing_is_spliced(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not splice.possible()
