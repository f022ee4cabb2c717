"""Names → addresses, by every way; the system's resolver is a stand-in here."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.features import resolve
from pyodide_offline.features.resolve import How
from pyodide_offline.session import Session
from tests.peers.authority import Authority
from tests.peers.doh import Proxy, Respond, Said, Server, records

WWW, INTRANET = "www.example.test", "intranet.example.test"
ZONE = records(
    f"{WWW}. 60 IN A 192.0.2.1",
    f"{WWW}. 60 IN AAAA 2001:db8::1",
    f'{WWW}. 60 IN HTTPS 1 . alpn="h2"',
)
System = dict[str, list[str]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("doh") / "ca", "dns.test")


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, _isolated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.ca))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """What the system's resolver knows, by name; loopback stays as it is."""
    known: System = {}
    real = socket.getaddrinfo

    def look(host: str, port: object, *rest: int, **named: int) -> object:
        if host == "127.0.0.1":
            return real(host, port, *rest, **named)  # type: ignore[arg-type]
        if host not in known or named.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "x")
        return [(2, 1, 6, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return known


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[[Respond], Server]]:
    with ExitStack() as stack:
        yield lambda respond: stack.enter_context(Server(authority.server(), respond))


@pytest.fixture
def server(serve: Callable[[Respond], Server]) -> Server:
    return serve(ZONE)


def closed(**more: object) -> How:
    """Return a way to ask that leads to a port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"https://dns.test:{one.getsockname()[1]}/q#127.0.0.1"
    return How(resolvers=(url,), **more)  # type: ignore[arg-type]


def test_auto_is_content_with_the_system(session: Session, system: System, server: Server) -> None:
    system[WWW] = ["10.0.0.1", "fd00::1"]
    (found,) = resolve.resolve(session, [WWW], How(resolvers=(server.url(),)))
    assert found.addresses == ("10.0.0.1", "fd00::1")
    assert [(line.type, line.ttl, line.source) for line in found.lines] == [
        ("A", None, "system"),
        ("AAAA", None, "system"),
    ]
    assert server.asked == []


def test_auto_asks_over_https_what_the_system_does_not_know(
    session: Session, system: System, server: Server
) -> None:
    system[INTRANET] = ["10.0.0.1"]
    inside, outside = resolve.resolve(session, [INTRANET, WWW], How(resolvers=(server.url(),)))
    assert inside.addresses == ("10.0.0.1",)
    assert outside.addresses == ("192.0.2.1", "2001:db8::1")
    assert outside.reasons == ("the system: not found",)


def test_secure_does_not_ask_the_system(session: Session, system: System, server: Server) -> None:
    system[WWW] = ["10.0.0.1"]
    how = How(policy=resolve.SECURE, resolvers=(server.url(),))
    (found,) = resolve.resolve(session, [WWW], how)
    assert found.addresses == ("192.0.2.1", "2001:db8::1")


def test_the_system_is_not_asked_for_what_only_dns_can_say(
    session: Session, system: System, server: Server
) -> None:
    system[WWW] = ["10.0.0.1"]
    how = How(types=("A", "HTTPS"), resolvers=(server.url(),))
    (found,) = resolve.resolve(session, [WWW], how)
    assert [(line.type, line.value) for line in found.lines] == [
        ("A", "10.0.0.1"),
        ("HTTPS", '1 . alpn="h2"'),
    ]


def test_a_second_command_asks_nobody_while_the_answer_may_be_kept(
    session: Session, system: System, server: Server
) -> None:
    how = How(policy=resolve.SECURE, resolvers=(server.url(),))
    first = resolve.resolve(session, [WWW], how)[0]
    again = resolve.resolve(session, [WWW], how)[0]
    assert again.addresses == first.addresses
    assert again.lines[0].source.endswith(", kept")
    assert len(server.asked) == 2
    other = How(policy=resolve.SECURE, resolvers=(server.url(template="{?dns}"),))
    resolve.resolve(session, [WWW], other)
    assert len(server.asked) == 4


def test_the_cnames_of_a_name_are_listed_once(
    session: Session, system: System, serve: Callable[[Respond], Server]
) -> None:
    server = serve(
        records(
            f"{WWW}. 60 IN CNAME b.example.test.",
            "b.example.test. 60 IN A 192.0.2.1",
            "b.example.test. 60 IN AAAA 2001:db8::1",
        )
    )
    (found,) = resolve.resolve(session, [WWW], How(resolvers=(server.url(),)))
    assert [line.type for line in found.lines] == ["CNAME", "A", "AAAA"]


def test_a_name_without_an_address_says_why_by_each_way(
    session: Session, system: System, server: Server
) -> None:
    (found,) = resolve.resolve(session, ["nothing.example.test"], How(resolvers=(server.url(),)))
    assert found.addresses == ()
    assert found.reasons[0] == "the system: not found"
    assert found.reasons[1].endswith("no A record")


def test_a_resolvers_own_trouble_is_a_reason_and_no_network_error(
    session: Session, system: System, serve: Callable[[Respond], Server]
) -> None:
    def refused(asked):
        body = bytearray(ZONE(asked).body)
        body[3] |= 5
        return Said(bytes(body))

    (found,) = resolve.resolve(session, [WWW], How(resolvers=(serve(refused).url(),)))
    assert "REFUSED" in found.reasons[-1]


def test_nobody_to_ask_is_a_network_error_unless_something_was_found(
    session: Session, system: System
) -> None:
    with pytest.raises(NetworkError, match="No resolver could be asked") as caught:
        resolve.resolve(session, [WWW], closed())
    assert "refuses the connection" in caught.value.why
    assert len(caught.value.lines()) <= 3
    system[INTRANET] = ["10.0.0.1"]
    inside, outside = resolve.resolve(session, [INTRANET, WWW], closed())
    assert (inside.addresses, outside.addresses) == (("10.0.0.1",), ())
    assert "No resolver could be asked" in outside.reasons[-1]


def test_a_resolver_that_is_none_is_a_setting(session: Session, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        resolve.resolve(session, [WWW], How(resolvers=("1.1.1.1",)))


def test_compare_shows_every_way_and_says_split_dns(
    session: Session, system: System, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    system[WWW] = ["10.0.0.1"]
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "*")
        (compared,) = resolve.compare(session, [WWW], How(resolvers=(server.url(),)))
        assert proxy.targets[0] == f"127.0.0.1:{server.port}"
    assert [(view.way, view.addresses) for view in compared.views] == [
        ("system", ("10.0.0.1",)),
        ("DoH", ("192.0.2.1", "2001:db8::1")),
        ("DoH through the proxy", ("192.0.2.1", "2001:db8::1")),
    ]
    assert "split DNS" in compared.sentence


def test_compare_goes_on_where_a_way_is_closed(
    session: Session, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NetworkError):
        resolve.compare(session, [WWW], closed())
    system[WWW] = ["10.0.0.1"]
    (compared,) = resolve.compare(session, [WWW], closed())
    assert [view.unreachable for view in compared.views] == [False, True]
    assert "only the system could be asked" in compared.sentence
