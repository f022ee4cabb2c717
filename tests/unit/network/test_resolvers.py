"""Resolvers as people write them, and the requests made of them."""

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import resolvers
from pyodide_offline.network.resolvers import GET, JSON, POST, Resolver, Target

WIRE = b"\x00\x00\xfe\xff"


@pytest.mark.parametrize(
    ("text", "url", "form", "addresses"),
    [
        ("https://dns.example/dns-query", "https://dns.example/dns-query", POST, ()),
        ("https://dns.example/q{?dns}", "https://dns.example/q", GET, ()),
        ("https://dns.example/r{?name,type}", "https://dns.example/r", JSON, ()),
        (
            "https://dns.example:8443/q#192.0.2.53",
            "https://dns.example:8443/q",
            POST,
            ("192.0.2.53",),
        ),
        (
            "https://dns.example/q{?dns}#[2001:db8::1]",
            "https://dns.example/q",
            GET,
            ("2001:db8::1",),
        ),
    ],
)
def test_the_template_says_the_form_and_the_fragment_the_address(
    text: str, url: str, form: str, addresses: tuple[str, ...]
) -> None:
    found = resolvers.parse(text)
    assert (found.url, found.form, found.addresses) == (url, form, addresses)
    assert found.by_name is not bool(addresses)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.1.1.1",
        "http://dns.example/dns-query",
        "https:///dns-query",
        "https://dns.example:x/q",
        "https://dns.example:99999/q",
        "https://dns.example/q{?dns,more}",
        "https://dns.example/q#nowhere",
        "https://me:s3cret@dns.example/q",
        "https://[::1/q",
        "https://dns.example/\x1b[2J",
    ],
)
def test_what_is_no_resolver_is_said_so_without_secrets(text: str) -> None:
    with pytest.raises(SettingsError, match="names no DNS-over-HTTPS resolver") as caught:
        resolvers.parse(text)
    assert "s3cret" not in str(caught.value)
    assert "https://dns.example/dns-query" in caught.value.next_step


def test_without_own_ones_the_well_known_are_taken() -> None:
    assert resolvers.chosen([]) == resolvers.WELL_KNOWN
    assert {one.name for one in resolvers.WELL_KNOWN} == {"Cloudflare", "Google", "Quad9"}
    assert [one.name for one in resolvers.chosen(["https://dns.example/q"])] == ["dns.example"]


def test_addresses_are_asked_before_names() -> None:
    first, second = resolvers.waves(resolvers.WELL_KNOWN, proxied=False)
    assert [one.label for one in first] == [
        "Cloudflare (1.1.1.1)",
        "Google (8.8.8.8)",
        "Quad9 (9.9.9.9)",
    ]
    assert [one.label for one in second] == ["Cloudflare", "Google", "Quad9"]
    pinned = resolvers.parse("https://dns.example/q#192.0.2.53")
    assert resolvers.waves([pinned], proxied=False) == [[Target(pinned, "192.0.2.53")]]


def test_a_proxy_is_asked_by_name_before_address_except_where_the_user_gave_one() -> None:
    by_address, by_name = resolvers.waves(resolvers.WELL_KNOWN, proxied=False)
    assert resolvers.waves(resolvers.WELL_KNOWN, proxied=True) == [by_name, by_address]
    pinned = resolvers.parse("https://dns.example/q#192.0.2.53")
    assert resolvers.waves([pinned], proxied=True) == [
        [Target(pinned, "192.0.2.53")],
        [Target(pinned)],
    ]


def test_the_three_forms_of_a_request() -> None:
    def made(
        form: str, url: str = "https://dns.example:8443/q", address: str = "192.0.2.53"
    ) -> object:
        target = Target(Resolver("x", url, form), address)
        return resolvers.request(target, "a.example", "A", WIRE)

    assert made(POST) == ("POST", "https://dns.example:8443/q", WIRE)
    assert made(GET) == ("GET", "https://dns.example:8443/q?dns=AAD-_w", b"")
    assert made(GET, "https://dns.example/q?k=v", "") == (
        "GET",
        "https://dns.example/q?k=v&dns=AAD-_w",
        b"",
    )
    assert made(JSON, "https://dns.example/r", "2001:db8::1") == (
        "GET",
        "https://dns.example/r?name=a.example&type=A",
        b"",
    )
