"""Which proxy is named for a target, and which targets NO_PROXY takes out."""

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network.proxies import Upstream, authority, bypass, for_target, parse


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("http://proxy:3128", "http", "proxy", 3128),
        ("proxy:3128", "http", "proxy", 3128),
        (" http://proxy ", "http", "proxy", 80),
        ("HTTPS://proxy/", "https", "proxy", 443),
        ("socks5://proxy", "socks5", "proxy", 1080),
        ("socks5h://proxy:9/path?query#end", "socks5h", "proxy", 9),
        ("http://[::1]:8080", "http", "::1", 8080),
        ("[2001:db8::1]", "http", "2001:db8::1", 80),
        ("http://[fe80::1%25eth0]:1", "http", "fe80::1%eth0", 1),
        ("http://proxy:", "http", "proxy", 80),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, scheme: str, host: str, port: int) -> None:
    upstream = parse(url, "HTTPS_PROXY")
    assert (upstream.scheme, upstream.host, upstream.port) == (scheme, host, port)
    assert (upstream.user, upstream.password, upstream.origin) == (None, None, "HTTPS_PROXY")


@pytest.mark.parametrize(
    ("userinfo", "user", "password"),
    [
        ("joe:secret@", "joe", "secret"),
        ("joe@", "joe", None),
        ("joe:@", "joe", ""),
        ("CORP%5Cjoe:p%40ss%3A%2Fw%C3%B6rd@", "CORP\\joe", "p@ss:/wörd"),
        ("joe:a:b@c@", "joe", "a:b@c"),
    ],
)
def test_user_and_password_are_decoded(userinfo: str, user: str, password: str | None) -> None:
    upstream = parse(f"http://{userinfo}proxy:1", "--proxy")
    assert (upstream.user, upstream.password, upstream.host) == (user, password, "proxy")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://joe:hunter2@proxy", "ftp:// is not a kind"),
        ("http://", "no usable host"),
        ("", "no usable host"),
        ("http://joe:hunter2@", "no usable host"),
        ("http://pro xy:1", "no usable host"),
        ("http://joe:hunter2@proxy:port", "not a number"),
        ("http://proxy:0", "not a number"),
        ("http://proxy:65536", "not a number"),
        ("http://proxy:٣", "not a number"),
        ("http://joe:hunter2/x@proxy:1", "percent-encoded"),
        ("http://joe:hunter2#@proxy:1", "percent-encoded"),
        ("http://joe:hunter2%0d%0aX:@proxy:1", "control character"),
        ("http://joe:hunter2@::1:80", "in brackets"),
        ("http://[proxy]:80", "not an IPv6"),
        ("http://[::1", "brackets"),
    ],
)
def test_nonsense_is_refused_without_being_repeated(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(url, "ALL_PROXY")
    assert why in caught.value.why
    assert "ALL_PROXY" in caught.value.what
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_a_password_is_in_no_text_of_an_upstream() -> None:
    upstream = parse("https://joe:hunter2@[::1]", "HTTPS_PROXY")
    assert "hunter2" not in f"{upstream} {upstream!r} {[upstream]}"
    assert str(upstream) == "https://[::1]:443"
    assert authority("name", 1) == "name:1"


_BOTH = {"https_proxy": "lower:1", "HTTPS_PROXY": "upper:1"}


@pytest.mark.parametrize(
    ("environ", "scheme", "wanted"),
    [
        ({}, "https", None),
        (_BOTH, "https", ("lower", "https_proxy")),
        (_BOTH, "wss", ("lower", "https_proxy")),
        (_BOTH, "http", None),
        ({**_BOTH, "https_proxy": " "}, "https", ("upper", "HTTPS_PROXY")),
        ({"HTTP_PROXY": "plain:1", "ALL_PROXY": "all:1"}, "https", ("all", "ALL_PROXY")),
        ({"HTTP_PROXY": "plain:1", "ALL_PROXY": "all:1"}, "http", ("plain", "HTTP_PROXY")),
        ({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}, "http", None),
        ({"http_proxy": "ours:1", "REQUEST_METHOD": "GET"}, "http", ("ours", "http_proxy")),
        ({"all_proxy": "a:1", "ALL_PROXY": "b:1"}, "https", ("a", "all_proxy")),
        ({**_BOTH, "NO_PROXY": "example.com"}, "https", None),
        ({**_BOTH, "no_proxy": "other.com", "NO_PROXY": "*"}, "https", ("lower", "https_proxy")),
    ],
)
def test_the_environment_names_a_proxy(environ, scheme: str, wanted) -> None:
    found = for_target(environ, scheme, "example.com", 443)
    assert [(one.host, one.origin) for one in found] == ([wanted] if wanted else [])


def test_options_stand_in_for_variables_in_their_order_and_an_empty_one_is_direct() -> None:
    def ask(*named: str, host: str = "example.com") -> list[Upstream]:
        return for_target({**_BOTH, "NO_PROXY": "out.com"}, "https", host, 443, named=named)

    assert [(one.host, one.origin) for one in ask("a:1", "socks5://b")] == [
        ("a", "--proxy"),
        ("b", "--proxy"),
    ]
    assert ask("") == []
    assert ask("a:1", host="out.com") == []


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "entry"),
    [
        # What five common programs disagree about; D for one of them is D here.
        ("example.com", "www.example.com", 443, "example.com"),
        (".example.com", "example.com", 443, ".example.com"),
        ("*.example.com", "www.example.com", 443, "*.example.com"),
        ("10.0.0.0/8", "10.1.2.3", 443, "10.0.0.0/8"),
        ("10.", "10.1.2.3", 443, None),
        ("example.com:8443", "example.com", 8443, "example.com:8443"),
        ("::1", "[::1]", 443, "::1"),
        ("[::1]", "[::1]", 443, "[::1]"),
        ("2001:db8::/32", "[2001:db8::1]", 443, "2001:db8::/32"),
        ("example.com.", "example.com", 443, "example.com."),
        ("foo example.com", "example.com", 443, "example.com"),
        ("*", "anything", 1, "*"),
        ("10.1.2.3", "10.1.2.3", 443, "10.1.2.3"),
        ("EXAMPLE.com", "Example.COM", 443, "EXAMPLE.com"),
        ("a, b", "b", 443, "b"),
        # What none of them does.
        ("example.com", "notexample.com", 443, None),
        (".example.com", "notexample.com", 443, None),
        ("*.example.com", "example.com", 443, None),
        ("example.com:8443", "example.com", 443, None),
        ("10.1.2.3", "110.1.2.3", 443, None),
        ("2.3", "10.1.2.3", 443, None),
        ("10.0.0.0/8", "10.example.com", 443, None),
        ("10.0.0.0/8", "11.1.2.3", 443, None),
        ("::/0", "10.1.2.3", 443, None),
        # Written otherwise, and the same.
        ("example.com", "www.example.com.", 443, "example.com"),
        ("2001:DB8:0::1", "2001:db8::1", 443, "2001:DB8:0::1"),
        ("[::1]:8443", "::1", 8443, "[::1]:8443"),
        ("[::1]:8443", "::1", 443, None),
        ("[2001:db8::]/32", "2001:db8::9", 443, "[2001:db8::]/32"),
        ("10.1.2.3:80", "10.1.2.3", 80, "10.1.2.3:80"),
        ("10.0.0.0/8:80", "10.1.2.3", 80, "10.0.0.0/8:80"),
        ("10.1.2.3/8", "10.9.9.9", 443, "10.1.2.3/8"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 443, "10.0.0.0/8"),
        ("fe80::1", "fe80::1%eth0", 443, "fe80::1"),
        ("bücher.example", "www.xn--bcher-kva.example", 443, "bücher.example"),
        ("localhost,127.0.0.1,\t::1\n", "::1", 443, "::1"),
        # Nothing, and nonsense, take out nothing.
        ("", "example.com", 443, None),
        (" , ,", "example.com", 443, None),
        (".", "example.com", 443, None),
        ("*.", "example.com", 443, None),
        (":443", "example.com", 443, None),
        ("[", "example.com", 443, None),
        ("10.0.0.0/99", "10.1.2.3", 443, None),
        ("example.com:port", "example.com", 443, None),
    ],
)
def test_no_proxy(no_proxy: str, host: str, port: int, entry: str | None) -> None:
    assert bypass(no_proxy, host, port) == entry
