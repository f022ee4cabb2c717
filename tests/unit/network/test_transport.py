"""httpx over the ways to a host, against servers and proxies on loopback."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.network import trust
from pyodide_offline.network.transport import Transport
from pyodide_offline.session import Session
from tests.peers.authority import Authority
from tests.peers.registry import Answer, Registry
from tests.peers.tunnelling import Proxy

NAME = "files.example.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("transport") / "ca", NAME)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Registry]:
    with Registry(tls=authority.server()) as server:
        server.script("/a", Answer(200, b"hello"))
        server.script("/b", Answer(200, b"hello", cut=2))
        yield server


def _get(session: Session, authority: Authority, url: str, times: int = 1) -> bytes:
    def context() -> ssl.SSLContext:
        return trust.context({}, [authority.ca], note=lambda _: None)

    with httpx.Client(transport=Transport(session, context), trust_env=False) as client:
        for _ in range(times - 1):
            client.get(url)
        return client.get(url).content


def _port(server: Registry) -> int:
    return int(server.origin.rpartition(":")[2])


def _closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_directly_where_no_proxy_is_named(
    session: Session, authority: Authority, secure: Registry
) -> None:
    assert _get(session, authority, f"{secure.origin}/a") == b"hello"


def test_proxies_are_tried_in_order_and_what_worked_is_kept_to(
    session: Session, authority: Authority, secure: Registry
) -> None:
    names = {(NAME, 443): ("127.0.0.1", _port(secure))}
    with Proxy({}) as first, Proxy(names, "me:s3cret") as second:
        login = second.url.replace("//", "//me:s3cret@")
        mine = replace(session, proxies=(_closed(), first.url, login))
        assert _get(mine, authority, f"https://{NAME}/a", 3) == b"hello"
        assert second.asked == [(NAME, 443)]  # and one connection did


def test_when_all_fail_each_is_told(session: Session, authority: Authority) -> None:
    with Proxy({}) as proxy:
        mine = replace(session, proxies=(_closed(), proxy.url))
        with pytest.raises(NetworkError, match="502 Unknown") as caught:
            _get(mine, authority, f"https://{NAME}/a")
    assert "Before it: The proxy http://127.0.0.1" in caught.value.why
    assert "refuses the connection" in caught.value.why


def test_a_body_that_breaks_off_is_a_network_error_of_ours(
    session: Session, authority: Authority, secure: Registry
) -> None:
    with pytest.raises(NetworkError, match="broke") as caught:
        _get(session, authority, f"{secure.origin}/b")
    assert caught.value.kind == "broken"


def test_an_untrusted_certificate_is_said_at_once_and_no_other_proxy_asked(
    session: Session, secure: Registry, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    names = {(NAME, 443): ("127.0.0.1", _port(secure))}
    with Proxy(names) as first, Proxy(names) as second:
        mine = replace(session, proxies=(first.url, second.url))
        with pytest.raises(NetworkError, match="is not trusted") as caught:
            _get(mine, stranger, f"https://{NAME}/a")
        assert second.asked == []
    assert caught.value.kind == "untrusted"
    assert secure.requests == []


def test_plain_http_goes_to_the_proxy_itself(
    session: Session, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry() as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        proxy.script("http://plain.example.test:8080/x?y=z", Answer(200, b"through"))
        got = _get(session, authority, "http://plain.example.test:8080/x?y=z")
        assert got == b"through"
        assert proxy.requests[0].headers["host"] == "plain.example.test:8080"
        monkeypatch.setenv("no_proxy", "plain.example.test")
        with pytest.raises(NetworkError, match=r"plain\.example\.test:8080 is not found"):
            _get(session, authority, "http://plain.example.test:8080/x?y=z")


def test_a_no_proxy_that_httpx_does_not_understand_stops_nothing(
    session: Session, authority: Authority, secure: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "[::1],2001:db8::/32,127.0.0.1")
    monkeypatch.setenv("https_proxy", _closed())
    assert _get(session, authority, f"{secure.origin}/a") == b"hello"


def test_a_proxy_that_makes_no_sense_is_a_matter_of_settings(
    session: Session, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "gopher://me:s3cret@proxy")
    with pytest.raises(SettingsError) as caught:
        _get(session, authority, f"https://{NAME}/a")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x?sig=s3cret", "file:///etc/passwd"])
def test_other_schemes_are_refused(session: Session, authority: Authority, url: str) -> None:
    with pytest.raises(NetworkError, match="not a usable address") as caught:
        _get(session, authority, url)
    assert "s3cret" not in str(caught.value)
