"""Which addresses a worker may connect to."""

import pytest

from pyodide_offline.network.permits import Permits, loopback, parse

# As workerd 1.20260426.1 and 1.20261117.1 answer, asked for each with no network.
OF_PUBLIC = "8.8.8.8 172.32.0.1 192.0.2.1 198.18.0.1 203.0.113.1 0.1.2.3 2606:4700::1111 fec0::1"
OF_PUBLIC += " ::ffff:8.8.8.8 64:ff9b::808:808 2001:db8::1 2002:a00:1:: 100::1"
OF_PRIVATE = "0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.9.9.9 169.254.1.1 172.16.0.1 192.168.1.1"
OF_PRIVATE += " ::1 :: ::ffff:10.0.0.1 fc00::1 fe80::1%2"
OF_NEITHER = "192.0.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 2001::1 2001:20::1 ff02::1"


@pytest.mark.parametrize(
    ("allow", "addresses", "allowed"),
    [
        (("public",), OF_PUBLIC, True),
        (("public",), f"{OF_PRIVATE} {OF_NEITHER}", False),
        (("private",), OF_PRIVATE, True),
        (("private",), f"{OF_PUBLIC} {OF_NEITHER}", False),
        (("public", "private"), f"{OF_PUBLIC} {OF_PRIVATE}", True),
        (("public", "private"), OF_NEITHER, False),
        (("public", "private", "240.0.0.0/4"), "240.0.0.1 255.255.255.255", True),
        (("local",), "127.0.0.1 ::1", True),
        (("local",), "10.0.0.1 8.8.8.8", False),
        (("network",), "10.0.0.1 8.8.8.8", True),
        (("network",), "127.0.0.1 ::1", False),
        (("unix", "unix-abstract", "nonsense"), "127.0.0.1 8.8.8.8 ::1", False),
        (("10.1.0.0/16", "2001:db8::/32"), "10.1.2.3 2001:db8::1", True),
        (("10.1.0.0/16", "2001:db8::/32"), "10.2.2.3 2001:db9::1", False),
        ((), "127.0.0.1 8.8.8.8", False),
    ],
)
def test_words_and_networks(allow: tuple[str, ...], addresses: str, allowed: bool) -> None:
    permits = Permits(allow)
    for address in addresses.split():
        assert permits.allows(address) is allowed, address


def test_what_is_denied_is_taken_out_of_what_is_allowed() -> None:
    permits = Permits(("public", "private"), ("local", "10.0.0.0/8"))
    assert [permits.allows(one) for one in ("8.8.8.8", "192.168.1.1")] == [True, True]
    assert [permits.allows(one) for one in ("127.0.0.1", "::1", "10.1.1.1")] == [False] * 3


def test_a_name_is_not_judged() -> None:
    with pytest.raises(ValueError, match="not an address"):
        Permits().allows("example.com")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "::"]
)
def test_this_machine_by_its_names(host: str) -> None:
    assert loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "notlocalhost", "10.0.0.1", "example.com"])
def test_other_machines(host: str) -> None:
    assert not loopback(host)


def test_an_address_within_the_other_kind_is_that_one() -> None:
    assert str(parse("::ffff:10.0.0.1")) == "10.0.0.1"
    assert parse("example.com") is None
