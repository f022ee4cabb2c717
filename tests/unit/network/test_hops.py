"""Requests and answers from hop to hop."""

import pytest

from pyodide_offline.network.hops import Target, onward, read, upgrade, with_host


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (b"https://example.com/p?q=1", Target("https", "example.com", 443, b"/p?q=1")),
        (b"http://example.com:8080/", Target("http", "example.com", 8080, b"/")),
        (b"http://example.com", Target("http", "example.com", 80, b"/")),
        (b"http://example.com?", Target("http", "example.com", 80, b"/?")),
        (b"http://example.com/?", Target("http", "example.com", 80, b"/?")),
        (
            b"http://example.com/a//b/../c?x=/y",
            Target("http", "example.com", 80, b"/a//b/../c?x=/y"),
        ),
        (b"http://example.com/a#b", Target("http", "example.com", 80, b"/a")),
        (b"http://[2001:db8::1]:81/x", Target("http", "2001:db8::1", 81, b"/x")),
        (b"https://user:secret@EXAMPLE.com/", Target("https", "example.com", 443, b"/")),
    ],
)
def test_a_url_is_parted_and_its_path_stays_as_it_is(url: bytes, wanted: Target) -> None:
    assert read(b"GET", url) == wanted


@pytest.mark.parametrize(
    ("target", "host", "port"), [(b"db.example:5432", "db.example", 5432), (b"[::1]:25", "::1", 25)]
)
def test_connect_names_a_host_and_a_port(target: bytes, host: str, port: int) -> None:
    assert read(b"CONNECT", target) == Target("tcp", host, port)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"/path"),
        (b"OPTIONS", b"*"),
        (b"GET", b"ftp://example.com/"),
        (b"GET", b"http://"),
        (b"GET", b"http://example.com:99999/"),
        (b"GET", "http://é/".encode()),
        (b"CONNECT", b"example.com"),
        (b"CONNECT", b"https://example.com:443/"),
    ],
)
def test_other_targets_are_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(method, target)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (Target("https", "example.com", 443), b"example.com"),
        (Target("https", "example.com", 80), b"example.com:80"),
        (Target("http", "::1", 80), b"[::1]"),
        (Target("tcp", "::1", 80), b"[::1]:80"),
    ],
)
def test_host_has_a_port_where_it_is_another(target: Target, field: bytes) -> None:
    assert target.field == field


def test_the_one_host_is_that_of_the_url() -> None:
    head = b"GET https://a.example:8443/x HTTP/1.1\r\nhost: evil\r\nX-A: 1\r\nHOST: worse"
    assert with_host(head) == (
        b"GET https://a.example:8443/x HTTP/1.1\r\nHost: a.example:8443\r\nX-A: 1"
    )
    with pytest.raises(ValueError, match="three parts"):
        with_host(b"nonsense")


def test_what_belongs_to_one_hop_goes_no_further() -> None:
    headers = [
        (b"Host", b"a.example"),
        (b"CF-Worker", b"x.example"),
        (b"Connection", b"keep-alive, X-Mine ,close, Content-Length, Host"),
        (b"Keep-Alive", b"timeout=5"),
        (b"x-mine", b"1"),
        (b"Proxy-Authorization", b"Basic secret"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"h2c"),
        (b"Set-Cookie", b"a=1"),
        (b"Content-Length", b"5"),
        (b"SET-cookie", b"b=2"),
        (b"Content-Encoding", b"gzip"),
    ]
    assert onward(headers) == [
        (b"Host", b"a.example"),
        (b"CF-Worker", b"x.example"),
        (b"Set-Cookie", b"a=1"),
        (b"Content-Length", b"5"),
        (b"SET-cookie", b"b=2"),
        (b"Content-Encoding", b"gzip"),
    ]


def test_an_upgrade_is_asked_of_the_next_hop_too() -> None:
    headers = [(b"connection", b"Upgrade"), (b"UPGRADE", b"websocket"), (b"Sec-X", b"1")]
    assert upgrade(headers) == b"websocket"
    assert onward(headers) == [
        (b"Sec-X", b"1"),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
    ]
    assert upgrade([(b"Upgrade", b"websocket")]) is None
