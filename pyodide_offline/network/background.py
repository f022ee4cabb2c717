"""An asyncio loop in a thread of its own, for a main thread that has to hear signals."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

Do = Callable[[Coroutine[Any, Any, Any]], Any]
_STOP_WITHIN = 5.0


@contextmanager
def loop(name: str) -> Iterator[Do]:
    """Yield what runs a coroutine in that loop to its end and returns its result.

    Tasks that are left at the end are cancelled.
    """
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, name=name, daemon=True)
    thread.start()

    def do(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the coroutine gives
        return asyncio.run_coroutine_threadsafe(work, made).result()

    async def finish() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        yield do
    finally:
        do(finish())
        made.call_soon_threadsafe(made.stop)
        thread.join(_STOP_WITHIN)
        if not thread.is_alive():
            made.close()


async def repeat(seconds: float, call: Callable[[], None]) -> None:
    """Call it each so many seconds until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        call()
