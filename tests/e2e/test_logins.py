"""Logins to a proxy that asks for NTLM, Digest or Basic: px-proxy, on loopback.

Not Negotiate: px 0.13 answers the last token of a login that it takes with 407 once more,
so no client gets through.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.connect import dial_sync
from pyodide_offline.network.lockout import Lockout
from pyodide_offline.network.proxies import parse
from tests.peers import proxies
from tests.peers.proxies import GREETING, USER, Proxy, exchange
from tests.peers.px import Scheme, px

pytestmark = [pytest.mark.e2e, pytest.mark.registry, pytest.mark.timeout(180)]
WRONG = "wr0ng-h0rse"
_SCHEMES: tuple[Scheme, ...] = ("NTLM", "DIGEST", "BASIC")


@pytest.fixture(scope="module")
def peers() -> Iterator[Mapping[str, Proxy]]:
    with ExitStack() as stack:
        one_each: dict[str, Proxy] = {
            scheme: stack.enter_context(px(scheme)) for scheme in _SCHEMES
        }
        yield {**one_each, "all": stack.enter_context(px(*_SCHEMES))}


@pytest.fixture(scope="module")
def there() -> Iterator[int]:
    with proxies.origin() as port:
        yield port


@pytest.mark.parametrize("scheme", [*_SCHEMES, "all"])
def test_each_kind_of_login_opens_the_way(
    peers: Mapping[str, Proxy], there: int, scheme: str
) -> None:
    lockout, upstream = Lockout(), parse(peers[scheme].with_login, "HTTPS_PROXY")
    for _ in range(2):  # the second one begins with the scheme that went well
        dialed = dial_sync("127.0.0.1", there, [upstream], environ={}, lockout=lockout)
        assert dialed.socket is not None
        assert exchange(dialed.socket, dialed.early) == GREETING + b"world"
    wanted = "ntlm" if scheme == "all" else scheme.lower()
    assert lockout.scheme(upstream) == wanted


@pytest.mark.parametrize("scheme", [*_SCHEMES, "all"])
def test_a_wrong_password_is_sent_once_and_in_no_other_way(
    peers: Mapping[str, Proxy], there: int, scheme: str
) -> None:
    peer, lockout = peers[scheme], Lockout()
    upstream = parse(peer.login(USER, WRONG), "HTTPS_PROXY")
    before = peer.log.read_text(encoding="utf-8").count("Authentication failed")
    for _ in range(3):
        with pytest.raises(NetworkError, match="does not accept the user and password") as caught:
            dial_sync("127.0.0.1", there, [upstream], environ={}, lockout=lockout)
        tried = "ntlm" if scheme == "all" else scheme.lower()
        assert f"sent once, by {tried}" in caught.value.why
        assert WRONG not in f"{caught.value} {caught.value!r}"
    assert peer.log.read_text(encoding="utf-8").count("Authentication failed") <= before + 2


def test_a_login_that_is_not_known_is_asked_for_by_name(
    peers: Mapping[str, Proxy], there: int
) -> None:
    upstream = parse(peers["NTLM"].url, "HTTPS_PROXY")
    with pytest.raises(NetworkError, match="no user is known for it") as caught:
        dial_sync("127.0.0.1", there, [upstream], environ={}, lockout=Lockout())
    assert "It offers: ntlm." in caught.value.why
