"""httpcore over our dialer: through proxies of a script, to a TLS server on loopback."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.backend import Dialing
from pyodide_offline.network.proxies import Upstream, parse
from tests.peers.authority import Authority
from tests.peers.registry import Answer, Registry
from tests.peers.tunnelling import Proxy

NAME = "target.test"
LOGIN = "me:s3cret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("backend") / "ca", NAME)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Registry]:
    with Registry(tls=authority.server()) as server:
        server.script("/a", Answer(200, b"hello" * 50_000))
        yield server


def _port(server: Registry) -> int:
    return int(server.origin.rpartition(":")[2])


def _named(proxy: Proxy) -> list[Upstream]:
    return [parse(proxy.url.replace("//", f"//{LOGIN}@"), "HTTPS_PROXY")]


def _get(
    url: str,
    authority: Authority,
    upstreams: Sequence[Upstream] = (),
    extensions: Mapping[str, Any] | None = None,
    **options: Any,
) -> bytes:
    """Fetch twice, the second time over the same connection."""
    context = ssl.create_default_context(cafile=authority.ca)
    trust = ssl.create_default_context(cafile=authority.ca)
    options |= {"environ": {}, "trust": trust}
    more: dict[str, Any] = {"timeout": dict.fromkeys(("connect", "read", "write"), 10.0)}
    more |= extensions or {}
    backend = Dialing(upstreams, **options)
    with httpcore.ConnectionPool(context, network_backend=backend) as pool:
        pool.request("GET", url, extensions=more)
        return pool.request("GET", url, extensions=more).content


def test_a_target_is_reached_directly(secure: Registry, authority: Authority) -> None:
    assert len(_get(f"{secure.origin}/a", authority)) == 250_000


@pytest.mark.parametrize("tls", [False, True], ids=["http proxy", "https proxy"])
def test_a_target_is_reached_through_a_proxy_with_a_login(
    secure: Registry, authority: Authority, tls: bool
) -> None:
    names = {(NAME, 443): ("127.0.0.1", _port(secure))}
    with Proxy(names, LOGIN, tls=authority.server() if tls else None) as proxy:
        got = _get(f"https://{NAME}/a", authority, _named(proxy))
        assert proxy.asked == [(NAME, 443)]
    assert len(got) == 250_000


def test_by_address_through_a_proxy_the_certificate_is_checked_against_the_name(
    secure: Registry, authority: Authority
) -> None:
    names = {("192.0.2.7", 443): ("127.0.0.1", _port(secure))}
    with Proxy(names, LOGIN) as proxy:
        sni = {"sni_hostname": NAME}
        assert _get("https://192.0.2.7/a", authority, _named(proxy), sni)
        with pytest.raises(httpcore.ConnectError, match="IP address mismatch"):
            _get("https://192.0.2.7/a", authority, _named(proxy))


def test_an_address_stands_in_for_the_name(secure: Registry, authority: Authority) -> None:
    url = f"https://{NAME}:{_port(secure)}/a"
    assert _get(url, authority, address="127.0.0.1")
    assert secure.requests[0].headers["host"] == f"{NAME}:{_port(secure)}"


def test_a_peer_is_held_to_its_address_before_anything_is_sent(
    secure: Registry, authority: Authority
) -> None:
    seen: list[str] = []

    def peer(address: str) -> str:
        seen.append(address)
        return "No." if len(seen) > 1 else ""

    options: dict[str, Any] = {"address": "127.0.0.1", "peer": peer}
    url = f"https://{NAME}:{_port(secure)}/a"
    assert _get(url, authority, **options)
    before = len(secure.requests)
    with pytest.raises(NetworkError, match=r"target\.test is not asked") as caught:
        _get(url, authority, **options)
    assert caught.value.why == "No."
    assert (seen, len(secure.requests)) == (["127.0.0.1"] * 2, before)


def test_the_proxys_own_address_is_no_peer(secure: Registry, authority: Authority) -> None:
    names = {(NAME, 443): ("127.0.0.1", _port(secure))}
    with Proxy(names, LOGIN) as proxy:
        assert _get(f"https://{NAME}/a", authority, _named(proxy), peer=lambda _: "No.")


def test_what_the_dialer_says_comes_through(authority: Authority) -> None:
    with Proxy({}, LOGIN) as proxy, pytest.raises(NetworkError, match="502 Unknown"):
        _get(f"https://{NAME}/a", authority, _named(proxy))


@contextmanager
def _speaking_first(behind_head: bytes) -> Iterator[str]:
    """Be a proxy that sends this with its 200, and nothing after it."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + behind_head)
                    client.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def test_bytes_that_came_with_the_proxys_answer_are_read_first(authority: Authority) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly"
    with _speaking_first(answer) as url:
        upstreams = [parse(url, "HTTP_PROXY")]
        assert _get(f"http://{NAME}/", authority, upstreams) == b"early"
        with pytest.raises(httpcore.ConnectError, match="before TLS"):
            _get(f"https://{NAME}/", authority, upstreams)


def test_silence_ends_at_the_timeout(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        with pytest.raises(httpcore.ReadTimeout):
            _get(url, authority, extensions={"timeout": {"read": 0.05}})
        with pytest.raises(httpcore.ConnectTimeout):
            _get(
                url.replace("http:", "https:"),
                authority,
                extensions={"timeout": {"connect": 0.05}},
            )


def test_it_dials_where_a_loop_runs_already(secure: Registry, authority: Authority) -> None:
    async def within() -> bytes:
        return _get(f"{secure.origin}/a", authority)

    assert asyncio.run(within())
