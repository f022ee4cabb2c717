"""Which ways there are, in which order, and when another one is worth its time."""

import pytest

from pyodide_offline.network.proxies import parse
from pyodide_offline.network.routes import Facts, Way, mends, public, ways

A = parse("http://me:s3cret@a:3128", "HTTPS_PROXY")
B = parse("socks5h://b", "--proxy")
DIRECT = parse("http://unused", "pac").__class__("direct", "", 0, origin="--pac")

DIRECTLY = Way("direct", "")
BY_DOH = Way("direct-address", "")


def _keys(facts: Facts) -> list[str]:
    return [f"{way.kind} {way.upstream or way.place}".removesuffix(" ") for way in ways(facts)]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (Facts("h.com"), ["direct", "direct-address"]),
        (Facts("192.0.2.1"), ["direct"]),
        (Facts("registry.corp"), ["direct"]),
        (Facts("h.com", [A]), ["proxy http://a:3128", "proxy-address http://a:3128"]),
        (Facts("192.0.2.1", [A]), ["proxy http://a:3128"]),
        (
            Facts("h.com", [A, B]),
            [
                "proxy http://a:3128",
                "proxy socks5h://b:1080",
                "proxy-address http://a:3128",
                "proxy-address socks5h://b:1080",
            ],
        ),
        (
            Facts("h.com", [A, DIRECT]),
            ["proxy http://a:3128", "direct", "proxy-address http://a:3128"],
        ),
        (
            Facts("h.com", mirrors=["https://m/"], stored=True, assembled=True),
            ["store", "mirror https://m/", "direct", "direct-address", "assembly"],
        ),
        (
            Facts("h.com", stored=True, worked=Way("direct-address", "").key),
            ["store", "direct-address", "direct"],
        ),
        (
            Facts("h.com", [A, B], worked=Way("proxy", "", B).key),
            [
                "proxy socks5h://b:1080",
                "proxy http://a:3128",
                "proxy-address http://a:3128",
                "proxy-address socks5h://b:1080",
            ],
        ),
        (Facts("h.com", worked="of another network"), ["direct", "direct-address"]),
    ],
)
def test_the_order(facts: Facts, found: list[str]) -> None:
    assert _keys(facts) == found


def test_every_way_has_its_reason_and_none_shows_a_password() -> None:
    for way in ways(Facts("h.com", [A, B], ["https://m/"], stored=True, assembled=True)):
        assert way.reason.endswith(".")
        assert "s3cret" not in f"{way} {way!r} {way.key}"


def test_a_way_that_worked_says_so() -> None:
    first = ways(Facts("h.com", [A, B], worked=Way("proxy", "", B).key))[0]
    assert first.reason == "It worked on this network the last time."


@pytest.mark.parametrize(
    ("failed", "kind", "following", "worth"),
    [
        (DIRECTLY, "name", BY_DOH, True),
        (DIRECTLY, "dns", BY_DOH, True),
        (DIRECTLY, "refused", BY_DOH, False),
        (DIRECTLY, "silent", BY_DOH, False),
        (DIRECTLY, "untrusted", BY_DOH, False),
        (BY_DOH, "silent", BY_DOH, True),
        (BY_DOH, "silent", DIRECTLY, True),
        (Way("proxy", "", A), "unreached", Way("proxy-address", "", A), True),
        (Way("proxy", "", A), "forbidden", Way("proxy-address", "", A), False),
        (Way("proxy", "", A), "login", Way("proxy-address", "", A), False),
        (Way("proxy", "", A), "refused", Way("proxy-address", "", A), False),
        (Way("proxy", "", A), "refused", Way("proxy", "", B), True),
        (Way("proxy", "", A), "login", Way("proxy", "", B), True),
        (Way("proxy", "", A), "forbidden", Way("assembly", ""), True),
        (Way("mirror", "", place="https://m/"), "", DIRECTLY, True),
    ],
)
def test_what_another_way_may_mend(failed: Way, kind: str, following: Way, worth: bool) -> None:
    assert mends(failed, kind, following) is worth


@pytest.mark.parametrize(
    ("host", "outside"),
    [
        ("pypi.example.org", True),
        ("Example.COM.", True),
        ("npm", False),
        ("npm.corp", False),
        ("nas.local", False),
        ("x.home.arpa", False),
        ("db.internal", False),
        ("10.1.2.3", False),
        ("::1", False),
        ("", False),
    ],
)
def test_private_names_are_told_to_nobody(host: str, outside: bool) -> None:
    assert public(host) is outside


def test_ways_are_told_in_words() -> None:
    assert str(DIRECTLY) == "directly"
    assert str(Way("proxy-address", "", A, "192.0.2.1")) == (
        "through http://a:3128 at the address 192.0.2.1"
    )
    assert str(Way("assembly", "")) == "made from npm's package"
    assert str(Way("mirror", "", place="https://m/")) == "from https://m/"
