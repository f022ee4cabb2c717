"""The user's PAC file: where from, in which encoding, with which names."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import pacfile
from pyodide_offline.network.pacfile import UnreachablePacError, load

_SCRIPT = "function FindProxyForURL(url, host) { return 'PROXY a:1'; }"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacfile, "_FETCHED", {})


@contextmanager
def _serving(content: bytes, kind: str, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/proxy.pac", asked
        server.shutdown()
        thread.join(5)


def test_a_file_by_path_and_by_url(tmp_path: Path) -> None:
    file = tmp_path / "my proxy.pac"
    file.write_text(_SCRIPT, encoding="utf-8")
    for source in (str(file), file.as_uri()):
        found = load(source, {})
        assert found.origin == f"The PAC file {source}"
        assert [str(one) for one in found.upstreams("https", "x.test", 443)] == ["http://a:1"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"proxy\.pac cannot be read: No such file"):
        load(str(tmp_path / "proxy.pac"), {})


def test_it_is_fetched_once_and_past_every_proxy() -> None:
    dead = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    with _serving(_SCRIPT.encode(), "application/x-ns-proxy-autoconfig") as (url, asked):
        for _ in range(3):
            assert load(f"{url}?token=s3cret", dead).script == _SCRIPT
        assert len(asked) == 1
        assert "s3cret" not in load(f"{url}?token=s3cret", dead).origin


_GREETING = "// Grüße\n" + _SCRIPT


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (_GREETING.encode("utf-8"), "text/plain"),
        (_GREETING.encode("utf-8-sig"), "text/plain"),
        (_GREETING.encode("utf-16"), "text/plain"),
        (_GREETING.encode("cp1252"), "text/plain"),
        (_GREETING.encode("utf-16-le"), "text/plain; charset=utf-16-le"),
        (_GREETING.encode("cp1252"), "text/plain; charset=utf-8"),
        (_GREETING.encode("utf-8"), "text/plain; charset=nonsense"),
    ],
)
def test_its_encoding_is_found(content: bytes, kind: str) -> None:
    with _serving(content, kind) as (url, _):
        assert load(url, {}).script == _GREETING


def test_a_server_that_does_not_give_it_is_told_apart_from_a_broken_script() -> None:
    with _serving(b"gone", "text/plain", 404) as (url, _), pytest.raises(UnreachablePacError):
        load(url, {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnreachablePacError, match="refused"):
        load(f"http://127.0.0.1:{port}/p", {})
    large = b" " * (pacfile.LONGEST + 1)
    with _serving(large, "text/plain") as (url, _), pytest.raises(UnreachablePacError):
        load(url, {})


def test_names_are_looked_up_until_the_script_knows_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def look_up(name: str) -> list[str]:
        asked.append(name)
        return ["10.0.0.1"] if name == "inside.test" else []

    monkeypatch.setattr(pacfile, "_look_up", look_up)
    file = tmp_path / "p.pac"
    file.write_text("""
    function FindProxyForURL(url, host) {
      if (isInNet(host, "10.0.0.0", "255.0.0.0")) return "DIRECT";
      return isResolvable("second.test") ? "PROXY a:1" : "PROXY b:1";
    }""")
    script = load(str(file), {})
    assert script.upstreams("https", "inside.test", 443) == []
    assert asked == ["inside.test", "second.test"]
    found = script.upstreams("https", "outside.test", 443)
    assert [str(one) for one in found] == ["http://b:1"]
    assert asked[2:] == ["outside.test", "second.test"]


def test_a_script_that_wants_ever_more_names_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacfile, "_look_up", lambda _: [])
    file = tmp_path / "p.pac"
    file.write_text(
        "function FindProxyForURL() { dnsResolve('n' + Math.random()); return 'PROXY a:1'; }"
    )
    assert [str(one) for one in load(str(file), {}).upstreams("https", "x", 443)] == ["http://a:1"]


def test_a_name_is_looked_up_by_the_system() -> None:
    assert "127.0.0.1" in pacfile._look_up("localhost")
    assert pacfile._look_up("nowhere.invalid") == []
