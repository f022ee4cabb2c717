"""Connections that wait."""

import asyncio

import pytest

from pyodide_offline.network.hops import Target
from pyodide_offline.network.outbound import Connection
from pyodide_offline.network.pool import AN_ORIGIN, IDLE, Pool
from tests.unit.network.forwarding import origin, outbound

HERE = Target("http", "a.example", 80, b"/one")
SAME = Target("http", "a.example", 80, b"/two")
ELSEWHERE = Target("http", "a.example", 81)


async def silent(reader, writer):
    await reader.read()


async def closes_when_told(reader, writer):
    await reader.read(1)


async def made(port: int) -> Connection:
    return await outbound().open(Target("http", "127.0.0.1", port))


async def gone(connection: Connection) -> None:
    while not connection.writer.is_closing():
        await asyncio.sleep(0.01)


def within_seconds(work):
    return asyncio.run(asyncio.wait_for(work, 20))


def test_the_last_one_given_is_the_first_one_taken_and_only_by_its_origin():
    async def go():
        async with origin(silent) as port:
            pool, first, second = Pool(), await made(port), await made(port)
            pool.give(HERE, first)
            pool.give(HERE, second)
            assert await pool.take(ELSEWHERE) is None
            taken = [await pool.take(SAME) for _ in range(3)]
            assert taken == [second, first, None]
            for one in (first, second):
                one.abort()

    within_seconds(go())


async def speaks_unasked(reader, writer):
    await reader.read(1)
    writer.write(b"HTTP/1.1 408 Too Slow\r\n\r\n")
    await reader.read()


@pytest.mark.parametrize(
    ("talk", "idle"),
    [(closes_when_told, IDLE), (speaks_unasked, IDLE), (silent, 0.05)],
    ids=["its server closed it", "something came unasked", "it waited too long"],
)
def test_one_that_is_of_no_use_any_more_is_not_handed_out(talk, idle):
    async def go():
        async with origin(talk) as port:
            pool, one = Pool(idle=idle), await made(port)
            pool.give(HERE, one)
            one.writer.write(b"x")
            await gone(one)
            assert await pool.take(HERE) is None

    within_seconds(go())


def test_more_than_enough_are_closed():
    async def go():
        async with origin(silent) as port:
            pool = Pool()
            all_of_them = [await made(port) for _ in range(AN_ORIGIN + 1)]
            for one in all_of_them:
                pool.give(HERE, one)
            assert [one.writer.is_closing() for one in all_of_them] == [False] * AN_ORIGIN + [True]
            pool.close()
            assert all(one.writer.is_closing() for one in all_of_them)
            assert await pool.take(HERE) is None

    within_seconds(go())
