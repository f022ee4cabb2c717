"""What holds of a tunnel whichever data plane carries it."""

import asyncio
import gc
import os

import pytest

from tests.unit.network.planes import PLANES, between

MIB = 1 << 20
BIG = os.urandom(MIB)


@pytest.fixture(params=PLANES)
def kind(request):
    return request.param


def test_both_ways_are_carried_and_counted(kind):
    async def play():
        async with between(kind) as ends:
            await ends.client.send(b"question")
            assert await ends.target.exactly(8) == b"question"
            await ends.target.send(b"answer")
            assert await ends.client.exactly(6) == b"answer"
            assert (ends.counts.sent, ends.counts.received) == (8, 6)

    asyncio.run(play())


def test_an_answer_after_the_clients_end_arrives_whole(kind):
    async def play():
        async with between(kind) as ends:
            await ends.client.send(b"hello")
            ends.client.finish()
            assert await ends.target.rest() == b"hello"  # the end has come through
            answer = asyncio.create_task(ends.client.rest())
            await ends.target.send(BIG)
            ends.target.finish()
            assert await answer == BIG
            await ends.task

    asyncio.run(play())


def test_a_question_after_the_targets_end_arrives_whole(kind):
    async def play():
        async with between(kind) as ends:
            ends.target.finish()
            assert await ends.client.rest() == b""
            question = asyncio.create_task(ends.target.rest())
            await ends.client.send(BIG)
            ends.client.finish()
            assert await question == BIG
            await ends.task

    asyncio.run(play())


def test_much_goes_both_ways_at_once_and_comes_as_it_was_sent(kind):
    async def play():
        async with between(kind) as ends:

            async def send(end):
                for _ in range(8):
                    await end.send(BIG)
                end.finish()

            told = await asyncio.gather(
                send(ends.client), send(ends.target), ends.client.rest(), ends.target.rest()
            )
            assert told[2] == told[3] == BIG * 8
            await ends.task
            assert (ends.counts.sent, ends.counts.received) == (8 * MIB, 8 * MIB)

    asyncio.run(play())


def test_bytes_read_before_come_first(kind):
    async def play():
        async with between(kind, first=b"first", early=b"early") as ends:
            await ends.client.send(b" later")
            await ends.target.send(b" later")
            assert await ends.target.exactly(11) == b"first later"
            assert await ends.client.exactly(11) == b"early later"
            assert (ends.counts.sent, ends.counts.received) == (11, 11)

    asyncio.run(play())


def test_early_bytes_arrive_although_the_far_end_is_gone(kind):
    async def play():
        async with between(kind, early=BIG) as ends:
            ends.target.finish()
            assert await ends.client.rest() == BIG

    asyncio.run(play())


def test_a_reader_that_stalls_holds_the_writer_back(kind):
    async def play():
        async with between(kind) as ends:
            # Nobody reads: what fits into buffers goes, then the writer waits.
            sent, loop = 0, asyncio.get_running_loop()
            while True:
                try:
                    async with asyncio.timeout(0.5):
                        await loop.sock_sendall(ends.target.sock, BIG[: 1 << 16])
                    sent += 1 << 16
                except TimeoutError:
                    break
                assert sent < 64 * MIB, "it takes without end"
            held = ends.counts.received
            await asyncio.sleep(0)
            assert ends.counts.received == held
            # Another way is not held up by it.
            await ends.client.send(b"still here")
            assert await ends.target.exactly(10) == b"still here"
            got = 0
            while got < sent:
                got += len(await ends.client.read())

    asyncio.run(play())


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_reset_is_carried_on(kind, who):
    async def play():
        async with between(kind) as ends:
            await ends.client.send(b"x")
            await ends.target.exactly(1)
            one, other = ends.client, ends.target
            if who == "target":
                one, other = other, one
            one.reset()
            with pytest.raises(ConnectionResetError):
                await other.read()
            await ends.task

    asyncio.run(play())


def test_a_reset_after_half_of_the_answer_is_no_whole_answer(kind):
    async def play():
        async with between(kind) as ends:
            ends.client.finish()
            await ends.target.rest()
            await ends.target.send(b"half")
            assert await ends.client.exactly(4) == b"half"
            ends.target.reset()
            with pytest.raises(ConnectionResetError):
                await ends.client.read()

    asyncio.run(play())


def test_a_quiet_tunnel_lives_and_works_on(kind):
    async def play():
        async with between(kind) as ends:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await ends.client.read(1)
            assert not ends.task.done()
            await ends.target.send(b"x")
            assert await ends.client.exactly(1) == b"x"

    asyncio.run(play())


def test_idle_cuts_what_is_quiet_and_nothing_else(kind):
    async def play():
        async with between(kind, idle=0.4) as ends:
            for _ in range(8):
                await asyncio.sleep(0.1)  # slower than idle in all, never quiet for so long
                await ends.target.send(b"x")
                await ends.client.exactly(1)
            with pytest.raises(ConnectionResetError):
                await ends.client.read()

    asyncio.run(play())


def test_cancelling_resets_both_sides(kind):
    async def play():
        async with between(kind) as ends:
            await ends.client.send(b"x")
            await ends.target.exactly(1)
            ends.task.cancel()
            for end in (ends.client, ends.target):
                with pytest.raises(ConnectionResetError):
                    await end.read()
            with pytest.raises(asyncio.CancelledError):
                await ends.task
            ends.task = asyncio.create_task(asyncio.sleep(0))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(play())


def test_no_file_is_left_open(kind):
    def files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def play():
        for way in ("end", "reset", "stall"):
            async with between(kind) as ends:
                if way == "end":
                    ends.client.finish()
                    ends.target.finish()
                    await ends.task
                elif way == "reset":
                    await ends.target.send(b"x")
                    ends.client.reset()
                else:
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.3):
                            await ends.target.send(BIG * 64)

    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("no /proc here")
    before = files()
    asyncio.run(play())
    assert files() == before
