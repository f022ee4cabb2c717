"""Read once, kept for a while."""

import asyncio

import pytest

from pyodide_offline.features.mirror.parsed import Parsed


def test_each_is_read_once_and_those_not_asked_for_the_longest_go():
    parsed: Parsed[str] = Parsed(2)
    reads: list[str] = []
    firsts: list[str] = []

    def reading(key):
        def read():
            reads.append(key)
            return key.upper()

        return read

    async def play():
        return [await parsed.get(key, reading(key), firsts.append) for key in "abacabb"]

    assert asyncio.run(play()) == list("ABACABB")
    assert reads == list("abcb")
    assert firsts == list("ABCB")


def test_what_cannot_be_read_is_not_kept():
    parsed: Parsed[str] = Parsed()

    def wrong():
        raise ValueError("no")

    async def play():
        with pytest.raises(ValueError, match="no"):
            await parsed.get("a", wrong, lambda _: None)
        return await parsed.get("a", lambda: "A", lambda _: None)

    assert asyncio.run(play()) == "A"
