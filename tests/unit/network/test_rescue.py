"""Hosts that nobody finds, and DNS over HTTPS that does: a resolver and a host on loopback."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import gateway, rescue, trust
from pyodide_offline.network.transport import Transport
from pyodide_offline.session import Session
from tests.conftest import Recorder
from tests.peers import doh, tunnelling
from tests.peers.authority import Authority
from tests.peers.registry import Answer, Registry

NAME = "files.missing.example.com"
GOOD = doh.records(f"{NAME}. 60 IN A 127.0.0.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("rescue") / "ca", NAME, "dns.test")


@pytest.fixture
def secure(authority: Authority) -> Iterator[Registry]:
    with Registry(tls=authority.server()) as server:
        server.script("/a", Answer(200, b"hello"))
        yield server


@pytest.fixture
def resolver(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[doh.Server]:
    with doh.Server(authority.server(), GOOD) as server:
        monkeypatch.setenv(rescue.RESOLVER_VARIABLE, server.url())
        yield server


@pytest.fixture(autouse=True)
def asked(
    _isolated: None, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The names that the system was asked for; it does not know NAME."""
    names: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *more: object, **named: object) -> object:
        names.append(host)
        if host == NAME:
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return real(host, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(gateway, "leads_out", lambda: True)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.ca))
    rescue._silent.clear()
    yield names
    rescue._silent.clear()


def _get(session: Session, url: str) -> bytes:
    def context() -> ssl.SSLContext:
        return trust.context(session.environ, note=lambda _: None)

    with httpx.Client(transport=Transport(session, context), trust_env=False) as client:
        return client.get(url).content


def _port(server: Registry) -> int:
    return int(server.origin.rpartition(":")[2])


def test_a_host_that_the_system_does_not_find_is_asked_at_the_address_of_doh(
    session: Session, secure: Registry, resolver: doh.Server, progress: Recorder, asked: list[str]
) -> None:
    url = f"https://{NAME}:{_port(secure)}/a"
    assert _get(session, url) == b"hello"
    (note,) = progress.notes
    assert note.startswith(f"{NAME}: directly at the address 127.0.0.1. The system does not find")
    assert "dns.test" in note
    asked.clear()
    # The next command begins with what worked, and asks neither the system nor the resolver.
    assert _get(session, url) == b"hello"
    assert NAME not in asked
    assert len(progress.notes) == 1
    assert len(resolver.asked) == 1


def test_a_host_that_the_proxy_does_not_find_is_asked_through_it_at_the_address(
    session: Session, secure: Registry, resolver: doh.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _port(secure)
    names = {
        ("127.0.0.1", port): ("127.0.0.1", port),
        ("127.0.0.1", resolver.port): ("127.0.0.1", resolver.port),
    }
    with tunnelling.Proxy(names, "me:s3cret") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:s3cret@"))
        assert _get(session, f"https://{NAME}:{port}/a") == b"hello"
        assert proxy.asked == [("127.0.0.1", resolver.port), ("127.0.0.1", port)]


def test_where_doh_knows_nothing_either_that_is_said(
    session: Session, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with doh.Server(authority.server(), doh.records()) as server:
        monkeypatch.setenv(rescue.RESOLVER_VARIABLE, server.url())
        with pytest.raises(NetworkError, match="is not found") as caught:
            _get(session, f"https://{NAME}/a")
    assert "DNS over HTTPS does not help" in caught.value.why
    assert "knows no address either" in caught.value.why


def test_resolvers_that_do_not_answer_are_not_asked_again_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"https://dns.test:{server.getsockname()[1]}/q#127.0.0.1"
    monkeypatch.setenv(rescue.RESOLVER_VARIABLE, closed)
    with pytest.raises(NetworkError, match="is not found") as caught:
        _get(session, f"https://{NAME}/a")
    assert "No resolver could be asked" in caught.value.why
    with pytest.raises(NetworkError, match="is not found") as caught:
        _get(session, f"https://{NAME}/a")
    assert "no resolver answered a moment ago" in caught.value.why


def test_an_address_that_does_not_answer_is_said_behind_the_first_reason(
    session: Session, resolver: doh.Server
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with pytest.raises(NetworkError, match="is not found") as caught:
        _get(session, f"https://{NAME}:{closed}/a")
    assert f"At 127.0.0.1: 127.0.0.1:{closed} refuses the connection." in caught.value.why


@pytest.mark.parametrize("host", ["no-such.invalid", "npm.corp"])
def test_private_names_are_asked_of_nobody_outside(
    session: Session, resolver: doh.Server, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NetworkError, match="is not found"):
        _get(session, f"https://{host}/a")
    assert resolver.asked == []


def test_without_a_route_nobody_is_asked(
    session: Session, resolver: doh.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "leads_out", lambda: False)
    with pytest.raises(NetworkError, match="is not found"):
        _get(session, f"https://{NAME}/a")
    assert resolver.asked == []


def test_an_answer_that_resolve_keeps_is_good_here(
    session: Session, resolver: doh.Server, tmp_path: Path
) -> None:
    assert rescue.addresses(session, NAME)[0] == ["127.0.0.1"]
    assert rescue.addresses(session, NAME)[0] == ["127.0.0.1"]
    assert len(resolver.asked) == 1
