"""A loop beside the main thread."""

import asyncio
import threading

import pytest

from pyodide_offline.network import background


def test_work_is_done_in_its_thread_and_errors_come_back():
    async def name():
        return threading.current_thread().name

    async def fail():
        raise KeyError("x")

    with background.loop("beside") as do:
        assert do(name()) == "beside"
        with pytest.raises(KeyError):
            do(fail())
    assert "beside" not in [one.name for one in threading.enumerate()]


def test_what_is_repeated_stops_with_the_loop():
    enough = threading.Event()
    count = []

    def call():
        count.append(1)
        if len(count) == 3:
            enough.set()

    async def start():
        return asyncio.create_task(background.repeat(0.001, call))

    with background.loop("beside") as do:
        task = do(start())
        assert enough.wait(10)
    assert task.cancelled()
