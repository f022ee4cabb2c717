"""Servers that stand in for `wrangler dev`: they take its options, and answer at once."""

import sys
from collections.abc import Callable

import pytest

# GET answers the path, its own process id or its options; POST answers the form.
SERVER = """
import argparse, http.server, os, subprocess
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/pid": os.getpid(), "/options": vars(options), "/env": os.environ.get("MY_OWN")}
        self.answer(404 if self.path == "/missing" else 200, str(known.get(self.path, self.path)))
    def do_POST(self):
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])).decode())
    def answer(self, status, text):
        self.send_response(status)
        self.send_header("X-Name", "value")
        self.end_headers()
        self.wfile.write(text.encode())
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
for name in ("ip", "persist-to", "inspector-port", "mode"):
    parser.add_argument("--" + name)
parser.add_argument("--leave", action="store_true")
options = parser.parse_args()
if options.leave:
    subprocess.Popen(["sleep", "300"], start_new_session=True, stdin=subprocess.DEVNULL)
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", options.port), Echo).serve_forever()
"""


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-c", SERVER]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Callable[[str], pytest.Pytester]:
    """Write a user's tests, with COMMAND as the stand-in, and a wrangler on PATH that is it."""

    def write(tests: str) -> pytest.Pytester:
        (pytester.path / "stand_in.py").write_text(SERVER)
        pytester.makepyfile(
            "import sys\nfrom pathlib import Path\n"
            f"COMMAND = [sys.executable, {str(pytester.path / 'stand_in.py')!r}]\n{tests}"
        )
        folder = pytester.path / "bin"
        folder.mkdir()
        for name in ("wrangler", "pywrangler"):
            program = folder / name
            program.write_text(
                f'#!/bin/sh\n[ "$1" = dev ] && shift\n'
                f'exec "{sys.executable}" "{pytester.path}/stand_in.py" --mode {name} "$@"\n'
            )
            program.chmod(0o700)
        return pytester

    return write
