"""Answers that are kept, and for how long."""

import pytest

from pyodide_offline.network import dnscache
from pyodide_offline.network.answers import NXDOMAIN, Answer, Record
from pyodide_offline.network.dnscache import DnsCache
from pyodide_offline.store import Store

ADDRESS = Answer("a.example", "A", (Record("a.example", "A", "192.0.2.1", 60),), 60)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kept(store: Store, clock: Clock, *answers: Answer, scope: str = "s") -> None:
    cache = DnsCache(store, scope, clock)
    for answer in answers:
        cache.keep(answer, "Cloudflare")
    cache.save()


def test_an_answer_comes_back_with_the_time_that_is_left(store: Store, clock: Clock) -> None:
    kept(store, clock, ADDRESS)
    clock.now += 20
    found = DnsCache(store, "s", clock).find("a.example", "A")
    assert found is not None
    assert found[0].records == (Record("a.example", "A", "192.0.2.1", 40),)
    assert found[1] == "Cloudflare"
    assert DnsCache(store, "s", clock).find("a.example", "AAAA") is None
    assert DnsCache(store, "of other resolvers", clock).find("a.example", "A") is None


def test_nothing_is_kept_too_for_its_time(store: Store, clock: Clock) -> None:
    kept(store, clock, Answer("b.example", "A", (), 45, NXDOMAIN))
    found = DnsCache(store, "s", clock).find("b.example", "A")
    assert found is not None
    assert found[0].nothing == NXDOMAIN


@pytest.mark.parametrize("passed", [60, 61, 1e6, -90_000])
def test_an_outdated_answer_is_none_nor_one_after_the_clock_was_set_back(
    store: Store, clock: Clock, passed: float
) -> None:
    kept(store, clock, ADDRESS)
    clock.now += passed
    assert DnsCache(store, "s", clock).find("a.example", "A") is None


def test_an_answer_without_time_is_not_kept(store: Store, clock: Clock) -> None:
    kept(store, clock, Answer("b.example", "A", (), 0, NXDOMAIN))
    assert store.memo("dns", "answers") is None


def test_the_number_is_bounded(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnscache, "LIMIT", 3)
    for number in range(5):
        kept(store, clock, Answer(f"{number}.example", "A", ADDRESS.records, 60 + number))
    memo = store.memo("dns", "answers")
    assert isinstance(memo, dict)
    assert sorted(memo) == ["s A 2.example", "s A 3.example", "s A 4.example"]


@pytest.mark.parametrize(
    "damage", [3, [], {"s A a.example": 1}, {"s A a.example": {"until": "x"}}, "until only"]
)
def test_a_damaged_memo_counts_as_none(store: Store, clock: Clock, damage: object) -> None:
    if damage == "until only":
        damage = {"s A a.example": {"until": clock.now + 9}}
    store.remember("dns", "answers", damage)
    assert DnsCache(store, "s", clock).find("a.example", "A") is None
    kept(store, clock, ADDRESS)
    assert DnsCache(store, "s", clock).find("a.example", "A")
