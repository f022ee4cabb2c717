"""Asking resolvers over HTTPS: scripted servers on loopback, and a proxy before them."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.network import doh, lookup, resolvers
from pyodide_offline.network.doh import Asker, Reply
from pyodide_offline.session import Session
from tests.peers.authority import Authority
from tests.peers.doh import HTML, Asked, Proxy, Respond, Said, Server, as_json, records

WWW = "www.example.test"
GOOD = records(f"{WWW}. 60 IN A 192.0.2.1", f"{WWW}. 60 IN AAAA 2001:db8::1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("doh") / "ca", "dns.test", "one.test", "two.test")


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, _isolated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.ca))
    monkeypatch.setattr(doh, "HEAD_START", 30.0)  # a busy machine begins no second wave


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[[Respond], Server]]:
    with ExitStack() as stack:
        yield lambda respond: stack.enter_context(Server(authority.server(), respond))


def ask(
    session: Session, urls: Sequence[str], *questions: tuple[str, str], way: str = doh.AUTO
) -> list[Reply]:
    """Ask one question after the other through one door."""

    async def every() -> list[Reply]:
        async with Asker(session, [resolvers.parse(url) for url in urls], way) as asker:
            return [await asker.ask(name, kind) for name, kind in questions or [(WWW, "A")]]

    return lookup.run(every, 20)


def values(reply: Reply) -> list[str]:
    return [one.value for one in reply.answer.records]


def says(text: bytes, **more: object) -> Respond:
    return lambda _: Said(text, **more)  # type: ignore[arg-type]


def _flagged(wire: bytes, flag: int) -> bytes:
    return wire[:2] + bytes([wire[2] | flag]) + wire[3:]


def refused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(("template", "method"), [("", "POST"), ("{?dns}", "GET")])
def test_both_ways_of_rfc_8484_by_address_with_the_name_checked(
    session: Session, serve: Callable[[Respond], Server], template: str, method: str
) -> None:
    server = serve(GOOD)
    first, second = ask(session, [server.url(template=template)], (WWW, "A"), (WWW, "AAAA"))
    assert (values(first), values(second)) == (["192.0.2.1"], ["2001:db8::1"])
    assert first.source == f"dns.test:{server.port} (127.0.0.1)"
    asked = server.asked[0]
    assert asked.method == method
    assert asked.headers["host"] == f"dns.test:{server.port}"
    assert asked.headers["accept"] == "application/dns-message"
    assert asked.headers["user-agent"].startswith("pyodide-offline/")
    assert asked.name == WWW


def test_the_json_form(session: Session, serve: Callable[[Respond], Server]) -> None:
    server = serve(as_json("192.0.2.5"))
    (reply,) = ask(session, [server.url(template="{?name,type}")])
    assert values(reply) == ["192.0.2.5"]
    assert server.asked[0].headers["accept"] == "application/dns-json"


def test_the_fastest_good_answer_wins_and_is_asked_from_then_on(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    hold = threading.Event()
    slow = serve(says(b"", hold=hold))
    bad = serve(says(b"", status=500))
    good = serve(GOOD)
    urls = [slow.url("one.test"), bad.url(), good.url("two.test")]
    began = time.monotonic()
    replies = ask(session, urls, (WWW, "A"), (WWW, "AAAA"), (WWW, "A"))
    assert time.monotonic() - began < doh.SECONDS
    hold.set()
    assert {reply.source for reply in replies} == {f"two.test:{good.port} (127.0.0.1)"}
    assert [len(one.asked) for one in (slow, bad, good)] == [1, 1, 3]


def test_when_the_chosen_one_fails_later_the_others_are_asked_again(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    def once(asked: Asked) -> Said:
        return GOOD(asked) if len(flaky.asked) == 1 else Said(b"", status=503)

    late = threading.Event()

    def later(asked: Asked) -> Said:
        late.wait(20)
        return GOOD(asked)

    flaky, steady = serve(once), serve(later)

    async def both() -> tuple[Reply, Reply]:
        chosen = [resolvers.parse(one.url()) for one in (flaky, steady)]
        async with Asker(session, chosen) as asker:
            first = await asker.ask(WWW, "A")
            late.set()
            return first, await asker.ask(WWW, "AAAA")

    first, second = lookup.run(both, 20)
    assert str(flaky.port) in first.source
    assert str(steady.port) in second.source


def test_one_question_at_the_start_then_all_at_once_over_one_election(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    server = serve(GOOD)

    async def many() -> list[Reply]:
        async with Asker(session, [resolvers.parse(server.url())]) as asker:
            return await asyncio.gather(*(asker.ask(WWW, kind) for kind in ["A", "AAAA"] * 10))

    assert len(lookup.run(many, 20)) == 20
    assert len(server.asked) == 20


@pytest.mark.parametrize(
    ("respond", "reason"),
    [
        (says(b"<html>Blocked</html>", type=HTML), "a web page (HTTP 200)"),
        (says(b"<html>Log in</html>", type=HTML, status=403), "a web page (HTTP 403)"),
        (says(b"", status=404), "HTTP 404"),
        (says(b"", status=302), "HTTP 302"),
        (says(b"x", type="text/plain"), "wrong type (text/plain)"),
        (says(b"x", type=""), "wrong type (none)"),
        (says(b"x" * 65536), "too large"),
        (says(b"x" * 20), "malformed"),
        (lambda asked: Said(asked.wire), "no answer"),
        (lambda asked: Said(_flagged(GOOD(asked).body, 0x02)), "truncated"),
        (lambda asked: Said(GOOD(asked).body[:-3]), "malformed"),
        (lambda asked: Said(b"\x12\x34" + GOOD(asked).body[2:]), "another question"),
        (lambda asked: Said(GOOD(asked).body.replace(b"example", b"exampel")), "another question"),
    ],
)
def test_what_is_no_answer_is_named_and_no_address_comes_of_it(
    session: Session, serve: Callable[[Respond], Server], respond: Respond, reason: str
) -> None:
    server = serve(respond)
    with pytest.raises(NetworkError, match="No resolver could be asked") as caught:
        ask(session, [server.url()])
    assert reason in caught.value.why
    assert f"dns.test:{server.port}" in caught.value.why
    assert "--resolver" in caught.value.next_step
    assert len(server.asked) == 1


def test_a_resolvers_own_trouble_is_an_answer_of_its_own(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    def servfail(asked: Asked) -> Said:
        body = bytearray(records()(asked).body)
        body[3] |= 2
        return Said(bytes(body))

    server = serve(servfail)
    with pytest.raises(doh.ResolverFailedError) as caught:
        ask(session, [server.url()])
    assert caught.value.rcode == "SERVFAIL"
    good = serve(GOOD)
    assert values(ask(session, [server.url(), good.url()])[0]) == ["192.0.2.1"]


def test_a_certificate_of_another_name_is_refused(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    server = serve(GOOD)
    with pytest.raises(NetworkError) as caught:
        ask(session, [server.url("other.test")])
    assert "certificate of other.test" in caught.value.why
    assert "not valid for 'other.test'" in caught.value.why
    assert server.asked == []


def test_an_unknown_authority_is_refused_with_the_variable_for_a_ca_file(
    session: Session, serve: Callable[[Respond], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    with pytest.raises(NetworkError) as caught:
        ask(session, [serve(GOOD).url()])
    assert "not trusted" in caught.value.why
    assert "--ca FILE" in caught.value.next_step


def test_a_silent_resolver_is_given_up_and_a_closed_port_said(
    session: Session, serve: Callable[[Respond], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doh, "SECONDS", 0.3)
    hold = threading.Event()
    silent = serve(says(b"", hold=hold))
    closed = f"https://dns.test:{refused_port()}/q#127.0.0.1"
    began = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        ask(session, [silent.url(), closed])
    hold.set()
    assert time.monotonic() - began < 5
    assert "refuses the connection" in caught.value.why
    assert f"dns.test:{silent.port} " in caught.value.why


def test_nobody_there_is_found_out_once(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    server = serve(says(b"", status=500))

    async def twice() -> None:
        async with Asker(session, [resolvers.parse(server.url())]) as asker:
            for _ in range(2):
                with pytest.raises(NetworkError):
                    await asker.ask(WWW, "A")

    lookup.run(twice, 20)
    assert len(server.asked) == 1


def test_through_the_proxy_of_the_environment_by_address_with_the_name_checked(
    session: Session, serve: Callable[[Respond], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(GOOD)
    with Proxy("me:s3 cret") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3%20cret@127.0.0.1:{proxy.port}")
        assert values(ask(session, [server.url()])[0]) == ["192.0.2.1"]
        assert proxy.targets == [f"127.0.0.1:{server.port}"]
        ask(session, [server.url()], way=doh.DIRECT)
        monkeypatch.setenv("NO_PROXY", "dns.test")
        ask(session, [server.url()])
        assert len(proxy.targets) == 1
        ask(session, [server.url()], way=doh.PROXY)
        assert len(proxy.targets) == 2
        monkeypatch.delenv("NO_PROXY")
        with pytest.raises(NetworkError, match=r"certificate of other\.test"):
            ask(session, [server.url("other.test")])
        by_name = server.url().partition("#")[0]
        assert values(ask(session, [by_name])[0]) == ["192.0.2.1"]
        assert proxy.targets[-1] == f"dns.test:{server.port}"


def test_through_a_proxy_that_speaks_tls_itself(
    session: Session,
    serve: Callable[[Respond], Server],
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
) -> None:
    server = serve(GOOD)
    with Proxy("me:s3cret", authority.server()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://me:s3cret@127.0.0.1:{proxy.port}")
        assert values(ask(session, [server.url()])[0]) == ["192.0.2.1"]
        assert proxy.targets == [f"127.0.0.1:{server.port}"]


def test_a_socks_proxy_that_is_down_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5h://me:s3cret@127.0.0.1:{refused_port()}")
    with pytest.raises(NetworkError) as caught:
        ask(session, ["https://dns.test/q"])
    assert "socks5h://127.0.0.1:" in caught.value.why
    assert "ALL_PROXY" in caught.value.next_step
    assert "s3cret" not in str(caught.value)


def test_the_next_proxy_is_taken_when_the_first_is_down(
    session: Session, serve: Callable[[Respond], Server]
) -> None:
    server = serve(GOOD)
    with Proxy() as proxy:
        several = (f"http://127.0.0.1:{refused_port()}", f"http://127.0.0.1:{proxy.port}")
        mine = replace(session, proxies=several)
        assert values(ask(mine, [server.url()])[0]) == ["192.0.2.1"]
        assert proxy.targets == [f"127.0.0.1:{server.port}"]


def test_the_next_proxy_is_taken_when_the_first_never_answers(
    session: Session, serve: Callable[[Respond], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doh, "SECONDS", 1.0)
    server = serve(GOOD)
    with socket.create_server(("127.0.0.1", 0)) as silent, Proxy() as proxy:
        ports = (silent.getsockname()[1], proxy.port)
        mine = replace(session, proxies=tuple(f"http://127.0.0.1:{port}" for port in ports))
        assert values(ask(mine, [server.url()])[0]) == ["192.0.2.1"]


def test_a_proxy_that_refuses_is_named_without_its_password(
    session: Session, serve: Callable[[Respond], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(GOOD)
    with Proxy("me:right") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@127.0.0.1:{proxy.port}")
        with pytest.raises(NetworkError) as caught:
            ask(session, [server.url()])
    assert caught.value.why.startswith(f"The proxy http://127.0.0.1:{proxy.port} does not accept")
    assert "They are from HTTPS_PROXY and were sent once, by basic." in caught.value.why
    assert "s3cret" not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize("proxy", ["gopher://me:s3cret@proxy.test", "http://me:s3cret@p.test:port"])
def test_a_proxy_that_cannot_be_used_is_said(
    session: Session, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY does not name a proxy") as caught:
        ask(session, ["https://dns.test/q"])
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "way", "found"),
    [
        ({}, doh.AUTO, ""),
        ({"HTTPS_PROXY": "http://up:1", "https_proxy": "http://low:1"}, doh.AUTO, "http://low:1"),
        ({"https_proxy": "http://p:1", "no_proxy": ".test"}, doh.AUTO, ""),
        ({"https_proxy": "http://p:1", "NO_PROXY": "*"}, doh.PROXY, "http://p:1"),
        ({"https_proxy": "http://p:1"}, doh.DIRECT, ""),
    ],
)
def test_which_proxy(session: Session, environ: dict[str, str], way: str, found: str) -> None:
    mine = replace(session, environ=environ)
    (proxies,) = doh.upstreams(mine, [resolvers.parse("https://dns.test:8443/q")], way)
    assert " ".join(map(str, proxies)) == found


def test_a_ca_file_that_is_missing_does_not_stop_it(
    session: Session,
    serve: Callable[[Respond], Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert values(ask(session, [serve(GOOD).url()])[0]) == ["192.0.2.1"]
