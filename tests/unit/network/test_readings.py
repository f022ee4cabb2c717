"""NO_PROXY as others read it: held against the programs themselves where they are Python."""

import re
import urllib.request
from pathlib import Path

import pytest

from pyodide_offline.network import readings

VALUES = [
    "example.com", ".example.com", "*.example.com", "10.0.0.0/8", "10.", "example.com:8443",
    "::1", "[::1]", "2001:db8::/32", "example.com.", "foo example.com", "*", "10.1.2.3",
    "EXAMPLE.COM", "a, example.com", "localhost,127.0.0.1", "", ",", "*,x", "com", "notexample.com",
]  # fmt: skip
TARGETS = [
    ("example.com", 443), ("www.example.com", 443), ("notexample.com", 443),
    ("example.com", 8443), ("10.1.2.3", 443), ("127.0.0.1", 8787), ("localhost", 8787),
    ("::1", 443), ("2001:db8::1", 443),
]  # fmt: skip


def url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


@pytest.mark.parametrize("value", VALUES)
def test_urllib_reads_it_so(value: str) -> None:
    for host, port in TARGETS:
        place = url(host, port).removeprefix("https://").removesuffix("/")
        told = urllib.request.proxy_bypass_environment(place, {"no": value})  # type: ignore[attr-defined]
        assert readings.urllib(value, host, port) == bool(told), (value, host, port)


@pytest.mark.parametrize("value", VALUES)
def test_requests_reads_it_so(value: str) -> None:
    from pip._vendor.requests.utils import (  # type: ignore[import-untyped, unused-ignore]
        should_bypass_proxies,
    )

    for host, port in TARGETS:
        told = should_bypass_proxies(url(host, port), no_proxy=value)
        assert readings.requests(value, host, port) == bool(told), (value, host, port)


@pytest.mark.parametrize("value", VALUES)
def test_httpx_reads_it_so(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", value)
    try:
        client = httpx.Client()
    except httpx.InvalidURL:
        assert readings.httpx_fails(value)
        return
    assert not readings.httpx_fails(value), value
    with client:
        for host, port in TARGETS:
            chosen = client._transport_for_url(httpx.URL(url(host, port)))
            direct = chosen is client._transport
            assert readings.httpx(value, host, port) == direct, (value, host, port)


# Tried with curl 7.88 and a proxy that is not there.
CURL = [
    ("example.com", "www.example.com", True), (".example.com", "example.com", True),
    ("*.example.com", "www.example.com", False), ("10.0.0.0/8", "10.1.2.3", True),
    ("10.", "10.1.2.3", False), ("example.com:8443", "example.com", False), ("::1", "::1", True),
    ("[::1]", "::1", False), ("2001:db8::/32", "2001:db8::1", False),
    ("example.com.", "example.com", True), ("foo example.com", "example.com", True),
    ("*", "example.com", True), ("a, example.com", "example.com", True),
    ("example.com", "notexample.com", False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "host", "direct"), CURL)
def test_curl_reads_it_so(value: str, host: str, direct: bool) -> None:
    assert readings.curl(value, host, 8443) is direct


# Seen in undici 7.30 (EnvHttpProxyAgent) and npm 11.19 (@npmcli/agent).
NODE = [
    ("example.com", "www.example.com", True, True), (".example.com", "example.com", True, True),
    ("*.example.com", "www.example.com", True, False), ("10.0.0.0/8", "10.1.2.3", False, False),
    ("EXAMPLE.com", "example.com", True, False), ("foo example.com", "example.com", True, False),
    ("example.com:8443", "example.com", True, False), ("[::1]", "::1", True, True),
    ("example.com:1", "example.com", False, False), ("::1", "::1", False, False),
    ("*", "example.com", True, False), ("2.3", "10.1.2.3", True, True),
    ("example.com", "notexample.com", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "host", "node", "npm"), NODE)
def test_node_and_npm_read_it_so(value: str, host: str, node: bool, npm: bool) -> None:
    assert readings.node(value, host, 8443) is node
    assert readings.npm(value, host, 8443) is npm


def test_a_row_tells_who_differs_and_who_ends_over_it() -> None:
    row = readings.row("10.0.0.0/8", "10.1.2.3", 443)
    assert row.readings[readings.OURS] == "direct"
    assert not row.agreed
    assert set(row.differing()) == {"Python urllib", "httpx", "Node", "npm"}
    assert readings.row("[::1]", "::1", 443).readings["httpx"] == "error"
    assert readings.row("example.com", "example.com", 443).agreed


def test_samples_show_each_entry() -> None:
    shown = list(readings.samples(".a.test, *.b.test,10.0.0.0/8 [::1] c.test:8443,x/y,localhost"))
    assert shown == [
        ("a.test", 443), ("www.a.test", 443), ("b.test", 443), ("www.b.test", 443),
        ("10.0.0.1", 443), ("::1", 443), ("c.test", 8443), ("www.c.test", 8443),
        ("localhost", 443),
    ]  # fmt: skip


def test_the_documented_table_is_what_the_functions_say() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    lines = [one for one in page.splitlines() if one.startswith("| `") and one.count("|") == 9]
    assert len(lines) == 8
    for line in lines:
        first, *said = (cell.strip() for cell in line.strip("|").split("|"))
        value = re.search("`(.+?)`", first)
        assert value is not None
        host = first.rpartition(": ")[2].split()[-1] if ": " in first else "::1"
        host = {"itself": "a.test", "8443": "a.test"}.get(host, host)
        row = readings.row(value[1], host, 8443).readings
        words = {"direct": "yes", "proxy": "no", "error": "error"}
        assert [words[one] for one in row.values()] == said, line
