"""The dialer against real proxies, on loopback."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.connect import Dialed, dial, dial_sync
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import parse
from tests.peers import proxies
from tests.peers.authority import Authority
from tests.peers.proxies import BLOCKED_PORT, GREETING, PASSWORD, USER, Proxy, exchange

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
WRONG = "wr0ng-h0rse"
_PEERS: Mapping[str, Callable[[], AbstractContextManager[Proxy]]] = {
    "squid": proxies.squid,
    "squid, Basic": lambda: proxies.squid(login="basic"),
    "squid, Digest": lambda: proxies.squid(login="digest"),
    "tinyproxy": proxies.tinyproxy,
    "microsocks": proxies.microsocks,
    "microsocks, login": lambda: proxies.microsocks(login=True),
    "danted": proxies.dante,
}


class Peers:
    """The proxies of this file's tests, each started when it is first wanted."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, Proxy] = {}

    def __getitem__(self, name: str) -> Proxy:
        needed = name.partition(",")[0]
        if not proxies.program(needed):
            pytest.skip(f"{needed} is not installed")
        if name not in self._running:
            self._running[name] = self._stack.enter_context(_PEERS[name]())
        return self._running[name]


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    with ExitStack() as stack:
        yield Peers(stack)


@pytest.fixture(scope="module")
def there() -> Iterator[int]:
    with proxies.origin() as port:
        yield port


def _talk(dialed: Dialed) -> bytes:
    """Return what the origin says first, and what it gives back."""
    assert dialed.socket is not None
    return exchange(dialed.socket, dialed.early)


def _through(url: str, port: int, **options) -> Dialed:
    options = {"environ": {}, "lockout": Lockout(), **options}
    return dial_sync("127.0.0.1", port, [parse(url, "HTTPS_PROXY")], **options)


@pytest.mark.parametrize("name", _PEERS)
def test_bytes_go_both_ways_through_each_proxy(peers: Peers, there: int, name: str) -> None:
    peer = peers[name]
    dialed = _through(peer.with_login if "," in name else peer.url, there)
    assert (dialed.tls, str(dialed.upstream)) == (False, peer.url)
    assert _talk(dialed) == GREETING + b"world"


@pytest.mark.parametrize("name", ["squid, Basic", "squid, Digest", "microsocks, login"])
def test_a_wrong_password_is_sent_once_and_said(peers: Peers, there: int, name: str) -> None:
    peer, lockout = peers[name], Lockout()
    url = peer.login(USER, WRONG)
    for _ in range(3):
        with pytest.raises(NetworkError, match="does not accept the user and password") as caught:
            _through(url, there, lockout=lockout)
        assert "HTTPS_PROXY" in caught.value.why
        assert WRONG not in f"{caught.value} {caught.value!r}"
    with pytest.raises(NetworkError, match="no user is known"):
        _through(peer.url, there)


def test_many_dials_at_once_send_a_wrong_password_once(peers: Peers, there: int) -> None:
    peer = peers["squid, Basic"]
    before = peer.log.read_text(encoding="utf-8").count(f" {USER} ")

    async def all_at_once() -> list[object]:
        lockout = Lockout()
        upstreams = [parse(peer.login(USER, WRONG), "HTTPS_PROXY")]
        calls = [
            dial("127.0.0.1", there, upstreams, environ={}, lockout=lockout) for _ in range(20)
        ]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    outcomes = asyncio.run(all_at_once())
    assert all(isinstance(one, NetworkError) for one in outcomes)
    seen = 0
    for _ in range(100):
        if (seen := peer.log.read_text(encoding="utf-8").count(f" {USER} ") - before) > 0:
            break
        time.sleep(0.05)
    assert seen == 1


def test_a_login_is_found_in_the_environment_and_in_netrc(
    peers: Peers, there: int, tmp_path: Path
) -> None:
    peer = peers["squid, Digest"]
    named = {
        "PYODIDE_OFFLINE_PROXY_USER": USER,
        "PYODIDE_OFFLINE_PROXY_PASSWORD": PASSWORD,
    }
    assert _talk(_through(peer.url, there, environ=named)) == GREETING + b"world"
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", encoding="utf-8")
    netrc.chmod(0o600)
    stored = {"HOME": str(tmp_path)}
    assert _talk(_through(peer.url, there, environ=stored)) == GREETING + b"world"


def test_what_a_proxy_does_not_allow_or_cannot_reach_is_told_apart(
    peers: Peers,
) -> None:
    url = peers["squid"].url
    with pytest.raises(NetworkError, match="403 Forbidden") as caught:
        _through(url, BLOCKED_PORT)
    assert "rules do not allow" in caught.value.why
    with pytest.raises(NetworkError, match="503 Service Unavailable") as caught:
        _through(url, proxies.free_port())
    assert "could not reach" in caught.value.why
    with pytest.raises(NetworkError, match="refused"):
        _through(peers["microsocks"].url, proxies.free_port())
    with pytest.raises(NetworkError, match="not allowed by ruleset"):
        _through(peers["danted"].url, BLOCKED_PORT)


def test_tinyproxy_closes_after_its_407_and_a_fresh_connection_logs_in(there: int) -> None:
    if not proxies.program("tinyproxy"):
        pytest.skip("tinyproxy is not installed")
    with proxies.tinyproxy(login=True) as peer:
        url = peer.login(USER, PASSWORD.replace(":", ""))
        assert _talk(_through(url, there)) == GREETING + b"world"
        with pytest.raises(NetworkError, match="does not accept the user and password"):
            _through(peer.login(USER, WRONG), there)


def test_tls_to_the_proxy_in_both_forms(peers: Peers, there: int, tmp_path: Path) -> None:
    if not proxies.program("stunnel4"):
        pytest.skip("stunnel4 is not installed")
    authority = Authority(tmp_path / "ca")
    trusting = {"SSL_CERT_FILE": str(authority.ca)}
    with proxies.stunnel(peers["squid, Basic"], authority) as peer:
        dialed = _through(peer.with_login, there, environ=trusting)
        assert isinstance(dialed.socket, ssl.SSLSocket)
        assert _talk(dialed) == GREETING + b"world"

        async def streamed() -> bytes:
            upstreams = [parse(peer.with_login, "--proxy")]
            made = await dial("127.0.0.1", there, upstreams, environ=trusting, lockout=Lockout())
            assert made.tls
            assert made.streams
            reader, writer = made.streams
            writer.write(b"world")
            wanted = len(GREETING) + 5 - len(made.early)
            heard = made.early + await asyncio.wait_for(reader.readexactly(wanted), 10)
            writer.close()
            await writer.wait_closed()
            return heard

        assert asyncio.run(streamed()) == GREETING + b"world"
        with pytest.raises(
            NetworkError, match=r"certificate of the proxy https://.* is not trusted"
        ) as caught:
            _through(peer.with_login, there)
        assert "--ca FILE" in caught.value.next_step
        with pytest.raises(NetworkError, match="does not speak TLS"):
            _through(peers["squid"].url.replace("http:", "https:"), there)


def test_the_other_front_of_tls_and_a_login_behind_it(
    peers: Peers, there: int, tmp_path: Path
) -> None:
    if not proxies.program("haproxy"):
        pytest.skip("haproxy is not installed")
    authority = Authority(tmp_path / "ca")
    trusting = {"SSL_CERT_FILE": str(authority.ca)}
    with proxies.haproxy(peers["squid, Digest"], authority) as peer:
        assert _talk(_through(peer.with_login, there, environ=trusting)) == GREETING + b"world"
        with pytest.raises(NetworkError, match="does not accept the user and password"):
            _through(peer.login(USER, WRONG), there, environ=trusting)


def test_proxies_of_all_kinds_are_tried_in_their_order(
    peers: Peers, there: int, tmp_path: Path
) -> None:
    down = parse(f"http://127.0.0.1:{proxies.free_port()}", "--proxy")
    socks_down = parse(f"socks5h://127.0.0.1:{proxies.free_port()}", "--proxy")
    wrong = parse(peers["squid, Basic"].login(USER, WRONG), "--proxy")
    working = parse(peers["danted"].url, "--proxy")
    unused = parse(peers["squid"].url, "--proxy")
    several = [down, socks_down, wrong, working, unused]
    dialed = dial_sync("127.0.0.1", there, several, environ={}, lockout=Lockout())
    assert dialed.upstream == working
    assert _talk(dialed) == GREETING + b"world"
    with pytest.raises(NetworkError, match="does not accept the user") as caught:
        dial_sync("127.0.0.1", there, [down, wrong], environ={}, lockout=Lockout())
    assert f"Before it: The proxy {down} refuses the connection." in caught.value.why


def test_the_next_proxy_is_asked_when_one_does_not_work(peers: Peers, there: int) -> None:
    down = parse(f"http://127.0.0.1:{proxies.free_port()}", "--proxy")
    working = parse(peers["squid"].url, "--proxy")
    dialed = dial_sync("127.0.0.1", there, [down, working], environ={}, lockout=Lockout())
    assert dialed.upstream == working
    assert _talk(dialed) == GREETING + b"world"


def test_a_login_that_went_well_saves_the_next_one_its_407(peers: Peers, there: int) -> None:
    peer, lockout = peers["squid, Basic"], Lockout()
    assert _talk(_through(peer.with_login, there, lockout=lockout)) == GREETING + b"world"
    upstream = parse(peer.with_login, "HTTPS_PROXY")
    assert lockout.scheme(upstream) == "basic"
    assert _talk(_through(peer.with_login, there, lockout=lockout)) == GREETING + b"world"
