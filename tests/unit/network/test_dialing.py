"""Which way a target is dialled, and who tells its address."""

import asyncio
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import dialing, ways
from pyodide_offline.network.dialing import Dialer
from pyodide_offline.network.proxies import Upstream, parse
from pyodide_offline.network.targets import Naming, Target
from tests.peers.authority import Authority
from tests.peers.doh import Said, Server, records
from tests.peers.tunnelling import Proxy

NAME, ADDRESS = "far.example", "192.0.2.1"
FAR = Target(NAME, 443)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("dialing") / "ca", "dns.test")


@pytest.fixture(autouse=True)
def _trusted(authority, _isolated, monkeypatch):
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.ca))


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


@pytest.fixture
def resolver(authority, stack):
    """A resolver that gives the far host's name the address that a test says."""

    def start(address):
        respond = records(f"{NAME}. 60 IN A {address}")
        return stack.enter_context(Server(authority.server(), respond))

    return start


@pytest.fixture
def far(stack):
    """A host that says hello; its port."""

    def serve():
        with suppress(OSError):
            while True:
                sock, _ = server.accept()
                sock.sendall(b"hello")
                sock.close()

    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=serve, daemon=True).start()
    stack.callback(lambda: server.shutdown(socket.SHUT_RDWR))
    return server.getsockname()[1]


def heard(dialer, target, times=1):
    """What the far host says, through each of some dials."""

    async def play():
        said = []
        for _ in range(times):
            made = await dialer.dial(target)
            assert made.raw
            with made.raw:
                said.append(made.early or await asyncio.get_running_loop().sock_recv(made.raw, 9))
        return said

    return asyncio.run(play())


def test_a_target_that_leads_back_here_is_not_dialled(session, authority, stack):
    target = Target("localhost", 443)
    nothing = stack.enter_context(Server(authority.server(), lambda _: Said(b"", status=500)))
    dialer = Dialer(session, {target: ()}, Naming([nothing.url()]))
    dialer.listening = [("127.0.0.1", 443)]
    dialer._known[target] = ["127.0.0.1", "::1"]
    with pytest.raises(NetworkError, match="no address but this tunnel's own"):
        heard(dialer, target)


def test_direct_after_a_proxy_that_is_down_does_not_lead_back_here(session, stack, far, authority):
    """As a PAC file says it: PROXY down; DIRECT."""
    nothing = stack.enter_context(Server(authority.server(), lambda _: Said(b"", status=500)))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = parse(f"http://127.0.0.1:{closed.getsockname()[1]}", "a PAC file")
    target = Target("localhost", far)
    found = {target: [down, Upstream("direct", "", 0, named=False)]}
    dialer = Dialer(session, found, Naming([nothing.url()]))
    dialer.resolve()
    assert heard(dialer, target) == [b"hello"]
    dialer.listening = [("127.0.0.1", far)]
    with pytest.raises(NetworkError, match="no address but this tunnel's own"):
        heard(dialer, target)


def test_where_the_proxy_cannot_look_a_name_up_its_address_is_dialled(session, resolver, far):
    server = resolver(ADDRESS)
    with Proxy({(ADDRESS, 443): ("127.0.0.1", far)}) as proxy:
        dialer = Dialer(session, ways.find(session, [FAR], [proxy.url]), Naming([server.url()]))
        assert heard(dialer, FAR, 3) == [b"hello"] * 3
    assert proxy.asked == [(ADDRESS, 443)] * 3
    assert len(server.asked) == 2  # A and AAAA, kept from then on


def test_by_address_when_that_is_wanted_although_the_proxy_knows_the_name(session, resolver, far):
    names = {(host, 443): ("127.0.0.1", far) for host in (NAME, ADDRESS)}
    with Proxy(names) as proxy:
        found = ways.find(session, [FAR], [proxy.url])
        assert heard(Dialer(session, found), FAR) == [b"hello"]
        naming = Naming([resolver(ADDRESS).url()], by_address=True)
        assert heard(Dialer(session, found, naming), FAR) == [b"hello"]
    assert proxy.asked == [(NAME, 443), (ADDRESS, 443)]


def test_where_https_does_not_help_either_the_proxys_own_word_counts(session, resolver):
    server = resolver("192.0.2.9")
    with Proxy({}) as proxy:
        dialer = Dialer(session, ways.find(session, [FAR], [proxy.url]), Naming([server.url()]))
        with pytest.raises(NetworkError, match=f"does not let {NAME}:443 through: 502"):
            heard(dialer, FAR)


def test_what_the_system_does_not_know_is_asked_over_https(session, resolver, far, monkeypatch):
    monkeypatch.setattr(dialing, "_addresses", lambda _: [])
    target = Target(NAME, far)
    dialer = Dialer(session, {target: ()}, Naming([resolver("127.0.0.1").url()]))
    dialer.resolve()
    assert heard(dialer, target) == [b"hello"]


def test_that_nobody_can_be_asked_is_told_and_kept_for_a_while(session, authority, stack):
    server = stack.enter_context(Server(authority.server(), lambda _: Said(b"", status=500)))
    target = Target("no-such.invalid", 443)
    dialer = Dialer(session, {target: ()}, Naming([server.url()], by_address=True))
    asked = []
    for _ in range(2):
        with pytest.raises(NetworkError, match="has no address") as caught:
            heard(dialer, target)
        assert "Over HTTPS: No resolver could be asked" in caught.value.why
        asked.append(len(server.asked))
    assert asked[0] == asked[1] > 0


def test_an_address_from_https_that_nobody_listens_on_is_told_as_that(session, resolver):
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target(NAME, server.getsockname()[1])
    naming = Naming([resolver("127.0.0.1").url()], by_address=True)
    with pytest.raises(NetworkError, match="refuses the connection"):
        heard(Dialer(session, {target: ()}, naming), target)


def test_many_that_dial_at_once_ask_once(session, resolver, far):
    server = resolver("127.0.0.1")
    target = Target(NAME, far)
    dialer = Dialer(session, {target: ()}, Naming([server.url()], by_address=True))

    async def play():
        for made in await asyncio.gather(*(dialer.dial(target) for _ in range(20))):
            made.close()

    asyncio.run(play())
    assert len(server.asked) == 2
