"""Driving a browser over pipes; a script stands for the browser here."""

import os
import sys

import pytest

from pyodide_offline.errors import ToolchainError
from pyodide_offline.features.browser import chromium

# Answers on descriptor 4 to what comes on 3, and tells of requests when a page is opened.
BROWSER = """
import json, os
data, url = b"", "http://127.0.0.1/x.js"
def send(message): os.write(4, json.dumps(message).encode() + b"\\0")
while chunk := os.read(3, 65536):
    data += chunk
    while b"\\0" in data:
        text, _, data = data.partition(b"\\0")
        message = json.loads(text)
        method, result = message["method"], {}
        if method == "Target.getTargets":
            result = {"targetInfos": [{"type": "page", "targetId": "t"}]}
        if method == "Target.attachToTarget":
            result = {"sessionId": "s"}
        if method == "Runtime.evaluate":
            result = {"result": {"value": message["params"]["expression"]}}
            if message["params"]["expression"] == "throw":
                result = {"exceptionDetails": {"text": "Uncaught"}}
        if method == "Page.navigate":
            asked = {"requestId": "1", "request": {"url": url}}
            send({"method": "Network.requestWillBeSent", "params": asked})
            answered = {"requestId": "1", "response": {"status": 200}}
            send({"method": "Network.responseReceived", "params": answered})
            ended = {"requestId": "1", "encodedDataLength": 7}
            send({"method": "Network.loadingFinished", "params": ended})
            local = {"requestId": "2", "request": {"url": "data:,x"}}
            send({"method": "Network.requestWillBeSent", "params": local})
        if method == "Refused.command":
            send({"id": message["id"], "error": {"message": "no such thing"}})
            continue
        send({"id": message["id"], "result": result})
        if method == "Browser.close":
            raise SystemExit
"""


@pytest.fixture
def program(tmp_path):
    script = tmp_path / "browser.py"
    script.write_text(BROWSER)
    path = tmp_path / "chromium"
    # No #! with Python's path, in which there may be a space.
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}'\n")
    path.chmod(0o755)
    return path


def test_a_page_is_asked_and_its_requests_are_counted(program):
    with chromium.opened(program, os.environ) as page:
        page.open("http://127.0.0.1/")
        assert page.ask("1 + 1") == "1 + 1"
        (request,) = page.requests.values()
        assert (request.url, request.status, request.size) == ("http://127.0.0.1/x.js", 200, 7)
        assert page.wait("true", 5) == "true"


def test_what_the_page_throws_and_the_browser_refuses_is_an_error(program):
    with chromium.opened(program, os.environ) as page:
        with pytest.raises(ToolchainError, match="Uncaught"):
            page.ask("throw")
        with pytest.raises(ToolchainError, match="no such thing"):
            page._browser.call("Refused.command", {})


def test_a_browser_that_ends_by_itself_is_an_error(tmp_path):
    path = tmp_path / "chromium"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    with pytest.raises(ToolchainError, match="ended by itself"):
        chromium.opened(path, os.environ).__enter__()


def test_none_on_path_says_how_to_get_one(program):
    assert chromium.find({"PATH": str(program.parent)}) == program
    with pytest.raises(ToolchainError, match="apt-get install chromium"):
        chromium.find({"PATH": "/nowhere"})
