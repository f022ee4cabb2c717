import socket
import threading
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import reach, trust
from pyodide_offline.network.proxies import parse
from tests.peers.authority import Authority
from tests.peers.registry import Answer, Registry
from tests.peers.tunnelling import Proxy

TRUST = trust.context({}, note=lambda _: None)


def ask(url: str, **options: object) -> reach.Answer:
    wanted = {"environ": {}, "trust": TRUST, **options}
    return reach.ask(url, wanted.pop("upstreams", []), **wanted)  # type: ignore[arg-type]


def kind(url: str, **options: object) -> object:
    with pytest.raises(NetworkError) as caught:
        ask(url, **options)
    return caught.value.facts["stage"]


def test_an_answer_is_given_as_it_came() -> None:
    with Registry() as registry:
        registry.script("/x", Answer(404, b"<html>", {"Content-Type": "text/html; charset=x"}))
        answer = ask(f"{registry.origin}/x")
    assert (answer.status, answer.kind, answer.body) == (404, "text/html", b"<html>")
    assert answer.ms > 0


def test_only_the_beginning_of_a_long_answer_is_read() -> None:
    with Registry() as registry:
        registry.script("/x", Answer(200, bytes(3 * reach.MOST)))
        assert len(ask(f"{registry.origin}/x").body) == reach.MOST


def test_a_certificate_that_is_not_believed_is_a_fact_with_openssls_number(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca")
    with Registry(tls=authority.server()) as registry:
        with pytest.raises(NetworkError, match="is not trusted") as caught:
            ask(f"{registry.origin}/x")
        assert caught.value.facts["stage"] == "untrusted"
        assert caught.value.facts["code"] == 18
        registry.script("/x", Answer(200, b"yes"))
        believing = trust.context({"SSL_CERT_FILE": str(authority.ca)}, note=lambda _: None)
        assert ask(f"{registry.origin}/x", trust=believing).body == b"yes"


def test_it_goes_through_a_proxy_to_a_name_that_only_that_knows(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "far.test")
    believing = trust.context({"SSL_CERT_FILE": str(authority.ca)}, note=lambda _: None)
    with Registry(tls=authority.server()) as registry:
        registry.script("/x", Answer(200, b"yes"))
        port = int(registry.origin.rpartition(":")[2])
        with Proxy({("far.test", 443): ("127.0.0.1", port)}) as proxy:
            upstreams = [parse(proxy.url, "HTTPS_PROXY")]
            found = ask("https://far.test/x", upstreams=upstreams, trust=believing)
            assert found.body == b"yes"
            with pytest.raises(NetworkError) as caught:
                ask("https://nobody.test/x", upstreams=upstreams, trust=believing)
    assert (caught.value.facts["stage"], caught.value.facts["status"]) == ("refusal", 502)


def test_who_is_not_there_or_says_nothing_or_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert kind(f"http://127.0.0.1:{port}/", seconds=0.2) == "mute"

        def answer(data: bytes) -> None:
            client = server.accept()[0]
            client.recv(1000)
            client.sendall(data)
            client.close()

        server.accept()[0].close()  # the one that gave up
        for data in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"):
            thread = threading.Thread(target=answer, args=(data,), daemon=True)
            thread.start()
            assert kind(f"http://127.0.0.1:{port}/") == "http"
            thread.join(10)
        thread = threading.Thread(target=answer, args=(b"no TLS at all\n",), daemon=True)
        thread.start()
        assert kind(f"https://127.0.0.1:{port}/") == "tls"
        thread.join(10)
    assert kind(f"http://127.0.0.1:{port}/") == "refused"
