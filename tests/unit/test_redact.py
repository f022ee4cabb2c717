"""Secrets do not get through, and what is none stays readable."""

import pytest

from pyodide_offline import redact

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://host/a/b", "https://host/a/b"),
        (f"https://user:{SECRET}@host/a", "https://***@host/a"),
        (f"https://user:a@{SECRET}@host/a", "https://***@host/a"),
        (f"https://{SECRET}@host:8443", "https://***@host:8443"),
        (f"https://host/a?token={SECRET}&b=1", "https://host/a"),
        (f"https://host/a#{SECRET}", "https://host/a"),
        (f"socks5h://u:{SECRET}@proxy:1080", "socks5h://***@proxy:1080"),
        ("https://host/@scope/name", "https://host/@scope/name"),
        (f"http://domain%5Cme:{SECRET}%40x@proxy:3128/", "http://***@proxy:3128/"),
    ],
)
def test_urls_lose_login_query_and_fragment(given: str, shown: str) -> None:
    assert redact.url(given) == shown


@pytest.mark.parametrize(
    "message",
    [
        f"GET https://me:{SECRET}@host/ failed",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}",
        f"Proxy-Authorization: Basic {SECRET}",
        f"//host/path/:_authToken={SECRET}",
        f"//host/:_auth = {SECRET}",
        f"//host/:_password={SECRET}",
        f"npm_config_//host/:_authToken={SECRET}",
        f"see https://me:a@{SECRET}@host/",
        f"password: {SECRET}",
        f"API_KEY={SECRET}",
        f"proxies http://a:{SECRET}@p:1 and http://b:{SECRET}@p:2",
    ],
)
def test_free_text_loses_its_secrets(message: str) -> None:
    hidden = redact.text(message)
    assert SECRET not in hidden
    assert redact.HIDDEN in hidden


@pytest.mark.parametrize(
    "message",
    [
        "connect to https://host:443/a/b?c=d failed: refused",
        "mail me@example.org",
        "//host/:registry=https://host/",
        "ordinary words, 12:34:56, a=b",
    ],
)
def test_what_is_no_secret_stays(message: str) -> None:
    assert redact.text(message) == message


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["x", "a:", "://a", "token", "authorization: ", "=", "a@"])
def test_a_long_line_takes_no_long_time(piece: str) -> None:
    line = piece * 50_000  # by the square of the length this would be minutes
    assert redact.text(line)
    assert redact.url(line)
