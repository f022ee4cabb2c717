"""Bounds of archives: by count, by member, by ratio, and in all."""

import pytest

from pyodide_offline.archive.bounds import Bounds, Count, Refused


def test_what_an_archive_may_hold_grows_with_it_up_to_the_total() -> None:
    bounds = Bounds(total=1000, ratio=10, floor=50)
    assert [bounds.content(size) for size in (1, 20, 1000)] == [50, 200, 1000]


def test_members_and_bytes_are_counted() -> None:
    count = Count(Bounds(members=2, member=10, floor=25, ratio=0), 1)
    count.member("one", 10)
    with pytest.raises(Refused, match="'big' claims 11 bytes"):
        count.member("big", 11)
    with pytest.raises(Refused, match="over 2 members"):
        count.member("third", 0)
    count.grown(25)
    with pytest.raises(Refused, match="over 25 bytes"):
        count.grown(1)
