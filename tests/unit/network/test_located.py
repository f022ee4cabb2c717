"""The parts of a URL that a connection needs."""

from dataclasses import dataclass

import pytest

from pyodide_offline.network.located import Located


@dataclass(frozen=True)
class Somewhere(Located):
    url: str


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://a.example/npm/", "https", "a.example", 443),
        ("http://a.example", "http", "a.example", 80),
        ("http://[::1]:8080/x", "http", "::1", 8080),
        ("https://A.Example:8443", "https", "a.example", 8443),
        ("nothing", "", "", 443),
    ],
)
def test_a_port_is_there_also_where_the_url_names_none(url, scheme, host, port):
    one = Somewhere(url)
    assert (one.scheme, one.host, one.port) == (scheme, host, port)
