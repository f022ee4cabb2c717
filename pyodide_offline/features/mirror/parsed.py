"""Indexes as they were read, kept in memory by their digest: reading a large one takes a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MOST = 64
_T = TypeVar("_T")


class Parsed(Generic[_T]):
    """The last ``most`` that were asked for."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, _T] = OrderedDict()

    async def get(self, digest: str, read: Callable[[], _T], first: Callable[[_T], None]) -> _T:
        """Return what ``read`` made of it, in a thread; ``first`` is told of each new one.

        Raises what ``read`` raises.
        """
        if (found := self._kept.get(digest)) is None:
            found = await asyncio.to_thread(read)
            first(found)
            self._kept[digest] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(digest)
        return found
