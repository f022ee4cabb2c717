import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import upstream


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_answer(session: Session, address: str) -> None:
    assert upstream.reachable(session, (f"{address}/200", f"{address}/404"))


@pytest.mark.parametrize("status", [403, 407, 451, 502])
def test_a_refusal_is_no_answer(session: Session, address: str, status: int) -> None:
    assert not upstream.reachable(session, (f"{address}/200", f"{address}/{status}"))


def test_nobody_there(session: Session) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert not upstream.reachable(session, (f"http://127.0.0.1:{port}",))


def test_silence_is_not_waited_for(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert not upstream.reachable(session, (f"http://127.0.0.1:{port}",))
