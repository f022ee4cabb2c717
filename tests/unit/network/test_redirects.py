import pytest

from pyodide_offline.network.redirects import problem

HOST = "https://files.example.com/a"


@pytest.mark.parametrize(
    ("came_from", "leads_to", "followed"),
    [
        (HOST, "https://files.example.com/b", True),
        (HOST, "https://files.example.com:8443/b", True),
        (HOST, "https://cdn.example.com/b", True),
        (HOST, "https://example.com/b", True),
        (HOST, "https://notexample.com/b", False),
        (HOST, "https://example.org/b", False),
        (HOST, "http://files.example.com/b", False),
        (HOST, "file:///etc/passwd", False),
        (HOST, "https://10.0.0.1/b", False),
        ("http://files.example.com/a", "https://files.example.com/a", True),
        ("http://files.example.com/a", "http://portal.corp/login", False),
        ("https://a.co.uk/x", "https://b.co.uk/x", False),
        ("https://a.co.uk/x", "https://www.a.co.uk/x", True),
        ("https://10.0.0.1/x", "https://11.0.0.1/x", False),
        ("https://[::1]/x", "https://[::1]:8443/x", True),
        ("https://[::1]/x", "https://[::2]/x", False),
        ("http://npm/x", "http://npm:81/x", True),
        ("http://npm/x", "http://other/x", False),
    ],
)
def test_the_same_host_and_the_same_domain(came_from: str, leads_to: str, followed: bool) -> None:
    assert (problem(came_from, leads_to) == "") is followed


def test_hosts_that_are_named_and_those_below_them() -> None:
    store = ["githubusercontent.com"]
    assert not problem(HOST, "https://objects.githubusercontent.com/x", hosts=store)
    assert problem(HOST, "https://evilgithubusercontent.com/x", hosts=store)


def test_what_a_digest_checks_may_lie_anywhere_behind_https() -> None:
    assert not problem(HOST, "https://store.example.org/x", checked=True)
    assert problem("http://npm/x", "http://store.example.org/x", checked=True)
    assert "Only https" in problem(HOST, "http://store.example.org/x", checked=True)
