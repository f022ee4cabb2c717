"""What one client may ask for, and what is remembered of many."""

import pytest

from pyodide_offline.features.mirror import limits
from pyodide_offline.features.mirror.limits import Limits, Meter, Reason


def test_a_bucket_empties_and_fills_at_its_rate():
    meter = Meter(Limits(rate=10, burst=3))
    assert [meter.enter("a", 0.0) for _ in range(3)] == [None] * 3
    refused = meter.enter("a", 0.0)
    assert refused is not None
    assert (refused.reason, refused.wait_s) == (Reason.RATE, 1)
    assert meter.enter("b", 0.0) is None
    assert meter.enter("a", 0.1) is None
    assert meter.enter("a", 0.1) is not None
    assert [meter.enter("a", 1000.0) for _ in range(4)].count(None) == 3


def test_a_clock_that_goes_back_gives_nothing():
    meter = Meter(Limits(rate=1, burst=1))
    assert meter.enter("a", 10.0) is None
    assert meter.enter("a", 0.0) is not None
    assert meter.enter("a", 0.5) is not None


def test_no_rate_is_no_limit():
    meter = Meter(Limits(rate=0, open_client=10**6, open_total=10**6))
    assert all(meter.enter("a", 0.0) is None for _ in range(20_000))


def test_requests_under_way_are_limited_for_one_and_for_all():
    meter = Meter(Limits(rate=0, open_client=2, open_total=3))
    assert meter.enter("a", 0) is None
    assert meter.enter("a", 0) is None
    busy = meter.enter("a", 0)
    assert busy is not None
    assert busy.reason is Reason.CLIENT
    assert meter.enter("b", 0) is None
    full = meter.enter("c", 0)
    assert full is not None
    assert full.reason is Reason.FULL
    meter.leave("a")
    assert meter.enter("a", 0) is None


def test_many_clients_are_forgotten_but_not_those_with_requests_under_way():
    meter = Meter(Limits(rate=1, burst=1, open_client=1, open_total=10**6), most=10)
    assert meter.enter("busy", 0) is None
    for number in range(1000):
        assert meter.enter(str(number), 0) is None
        meter.leave(str(number))
    assert len(meter._clients) == 10
    busy = meter.enter("busy", 0)
    assert busy is not None
    assert busy.reason is Reason.CLIENT
    meter.leave("busy")
    assert meter.open == 0


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b", "a:b"),
        ("", ""),
    ],
)
def test_by_which_name_a_client_counts(address, name):
    assert limits.client(address) == name
