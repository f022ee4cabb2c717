"""What `started` promises, tried on servers that keep and break it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.peers.wrangler import copy_example, started

pytestmark = pytest.mark.e2e

# Answers every GET with the page's path; takes --ip and --port as wrangler does.
SERVER = """
import argparse, http.server, subprocess, sys
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
parser = argparse.ArgumentParser()
parser.add_argument("--ip")
parser.add_argument("--port", type=int)
parser.add_argument("--leave", action="store_true")
options = parser.parse_args()
if options.leave:
    subprocess.Popen(["sleep", "300"], start_new_session=True, stdin=subprocess.DEVNULL)
print("listening", flush=True)
http.server.HTTPServer((options.ip, options.port), Echo).serve_forever()
"""
COMMAND = [sys.executable, "-c", SERVER]


def test_a_server_is_started_asked_and_ended(tmp_path: Path) -> None:
    with started(COMMAND, tmp_path, env=os.environ, log=tmp_path / "log", timeout=20) as server:
        assert server.get("/page") == "/page"
        assert list(server.processes()) == [server.process.pid]
        assert server.stop() == -signal.SIGTERM
    assert server.log.startswith("listening\n")


def test_a_process_in_another_session_is_found_and_ended(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"left running after SIGTERM: .*sleep 300"),
        started(
            [*COMMAND, "--leave"], tmp_path, env=os.environ, log=tmp_path / "log", timeout=20
        ) as server,
    ):
        server.stop()
    assert server.processes() == {}


def test_an_early_end_is_told_with_the_log(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such thing; exit 3"]
    with (
        pytest.raises(AssertionError, match=r"ended with 3 before it answered\.\nno such thing"),
        started(command, tmp_path, env=os.environ, log=tmp_path / "log", timeout=20),
    ):
        pytest.fail("there is no server")


@pytest.mark.parametrize("name", ["starlette", "javascript"])
def test_a_copy_has_the_date_asked_for(tmp_path: Path, name: str) -> None:
    copy = copy_example(name, tmp_path / "copy", date="2025-11-02")
    (config,) = copy.glob("wrangler.*")
    assert '"2025-11-02"' in config.read_text(encoding="utf-8")
    assert not (copy / "python_modules").exists()
