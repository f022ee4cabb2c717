"""Digests seen first: what agrees, what is new, what has changed."""

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror import pins

ONE, TWO = b"one", b"two"


def _sri(data, algorithm):
    return digests.of_bytes(data, algorithm).sri


OLD = _sri(ONE, "sha1")
BOTH = f"{_sri(ONE, 'sha512')} {OLD}"


def test_what_was_never_seen_is_new():
    found = pins.compare({}, {"1.0.0": BOTH})
    assert (found.new, found.changed) == ({"1.0.0": BOTH}, {})


@pytest.mark.parametrize(
    "given",
    [
        BOTH,
        OLD,
        _sri(ONE, "sha512"),
        f"sha512:{digests.of_bytes(ONE, 'sha512').hex}",
        f"{_sri(ONE, 'sha512')}?option",
        f"md5-xxxx {OLD}",
    ],
)
def test_the_same_bytes_agree_in_any_notation(given):
    found = pins.compare({"1.0.0": BOTH}, {"1.0.0": given})
    assert (found.new, found.changed) == ({}, {})


def test_a_stronger_hash_of_the_same_bytes_is_added():
    found = pins.compare({"1.0.0": OLD}, {"1.0.0": BOTH})
    assert (found.new, found.changed) == ({"1.0.0": BOTH}, {})


@pytest.mark.parametrize(
    "given",
    [
        _sri(TWO, "sha512"),
        f"{_sri(TWO, 'sha512')} {OLD}",  # one right, one wrong
        _sri(ONE, "sha256"),  # shares nothing with the pin
        "",
        "md5-xxxx",
    ],
)
def test_a_change_is_told_with_both(given):
    found = pins.compare({"1.0.0": BOTH, "2.0.0": OLD}, {"1.0.0": given, "3.0.0": OLD})
    assert found.changed["1.0.0"][0] == BOTH
    assert found.changed.keys() == {"1.0.0"}
    assert found.new == {"3.0.0": OLD}


def test_a_version_that_is_gone_is_no_change():
    assert pins.compare({"1.0.0": BOTH}, {}) == pins.Comparison()


def test_what_has_no_known_hash_cannot_be_pinned():
    assert pins.compare({}, {"1.0.0": "md5-xxxx", "2": "sha512-AAAA", "3": "sha256:xyz"}).new == {}
    with pytest.raises(ValueError, match="no hash"):
        pins.normal("md5-xxxx")
    assert pins.normal(f"sha1:{digests.of_bytes(ONE, 'sha1').hex}") == OLD
