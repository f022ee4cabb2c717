"""A Chromium without a window, driven by its DevTools protocol over two pipes.

Pipes (``--remote-debugging-pipe``) need no port and no library for WebSockets: a message is
JSON and ends with a zero byte. Every name but 127.0.0.1 is unresolvable for it, its profile
is empty, and each request that its pages, workers and service workers make is written down.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from pyodide_offline.errors import ToolchainError, UnsupportedError

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
_PATIENCE = 30.0  # seconds for an answer of the browser itself
_FOLLOW = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
Message = Mapping[str, Any]


@dataclass
class Request:
    """One request: ``size`` are the body's bytes as they came over the line, 0 if from a cache."""

    url: str
    status: int = 0
    size: int = 0
    cached: bool = False
    failed: str = ""


@dataclass
class Page:
    """One page; what it and its workers asked for is in ``requests`` by request id."""

    _browser: "_Browser"
    _session: str
    requests: dict[str, Request] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Go to an address; does not wait until it is loaded."""
        self._browser.call("Page.navigate", {"url": url}, self._session)

    def ask(self, script: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Return the value of a JavaScript expression, awaited. Raises ToolchainError."""
        answer = self._browser.call(
            "Runtime.evaluate",
            {"expression": script, "awaitPromise": True, "returnByValue": True},
            self._session,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            said = details.get("exception", {}).get("description", details.get("text"))
            raise ToolchainError("The page could not be asked.", why=f"{said}")
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float) -> Any:  # noqa: ANN401 - as above
        """Return the expression's value once it is true. Raises ToolchainError after so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(ToolchainError):
                if value := self.ask(script):
                    return value
            time.sleep(0.05)
        raise ToolchainError(
            f"The page did not come so far within {seconds:.0f} s.",
            why=f"Waited for {script}; it says: {' '.join(self.console[-3:]) or 'nothing'}",
        )

    def screenshot(self, path: Path) -> None:
        """Write what it shows as PNG."""
        import base64

        answer = self._browser.call("Page.captureScreenshot", {"format": "png"}, self._session)
        path.write_bytes(base64.b64decode(answer["data"]))

    def without_service_workers(self) -> None:
        """Let no service worker answer from now on."""
        self._browser.call("Network.setBypassServiceWorker", {"bypass": True}, self._session)

    def drop(self, script: str, files: list[Path]) -> None:
        """Choose files in the input element that an expression names."""
        node = self._browser.call("Runtime.evaluate", {"expression": script}, self._session)
        self._browser.call(
            "DOM.setFileInputFiles",
            {"files": [str(one) for one in files], "objectId": node["result"]["objectId"]},
            self._session,
        )


def find(environ: Mapping[str, str]) -> Path:
    """Return the browser's program. Raises ToolchainError if there is none."""
    for name in _PROGRAMS:
        if found := shutil.which(name, path=environ.get("PATH", os.defpath)):
            return Path(found)
    raise ToolchainError(
        "There is no Chromium on PATH.",
        next_step="Install it (Debian: apt-get install chromium), or verify without --chromium.",
    )


@contextmanager
def opened(
    program: Path, environ: Mapping[str, str], profile: Path | None = None
) -> Iterator[Page]:
    """Start a browser with one page. Raises ToolchainError, UnsupportedError."""
    if sys.platform == "win32":
        raise UnsupportedError("A browser cannot be driven on Windows yet.")
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-", ignore_cleanup_errors=True) as own:
        browser = _Browser(program, environ, profile or Path(own))
        try:
            yield browser.page()
        finally:
            browser.end()


class _Browser:
    """The process, and its messages in both directions."""

    def __init__(self, program: Path, environ: Mapping[str, str], profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        flags = [*_FLAGS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:  # its sandbox refuses to be started by root
            flags.append("--no-sandbox")
        # It reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
        move = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        try:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", move, str(program), *flags, "about:blank"],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        except OSError as error:
            raise ToolchainError(f"Cannot start {program}: {error.strerror}.") from error
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._number = 0
        self._answers: Queue[Message | None] = Queue()
        self._lock = threading.Lock()
        self._page: Page | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def page(self) -> Page:
        """Attach to its first page, and to all that the page will start."""
        found = self.call("Target.getTargets", {})["targetInfos"]
        target = next(one["targetId"] for one in found if one["type"] == "page")
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._page = Page(self, attached["sessionId"])
        self._listen(attached["sessionId"])
        self.call("Page.enable", {}, attached["sessionId"])
        # Service workers are the browser's own, not the page's.
        only = [{"type": "service_worker"}, {"exclude": True}]
        self._send("Target.setAutoAttach", {**_FOLLOW, "filter": only}, None)
        return self._page

    def call(self, method: str, params: Message, session: str | None = None) -> Any:  # noqa: ANN401
        """Return the browser's answer to one command. Raises ToolchainError."""
        number = self._send(method, params, session)
        deadline = time.monotonic() + _PATIENCE * 4
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = self._answers.get(timeout=left)
            except Empty:
                break
            if answer is None:
                raise ToolchainError("The browser ended by itself.")
            if answer.get("id") == number:
                if "error" in answer:
                    said = answer["error"].get("message", "")
                    raise ToolchainError(f"The browser refuses {method}.", why=str(said))
                return answer["result"]
        raise ToolchainError(f"The browser does not answer to {method}.")

    def end(self) -> None:
        """End it and all of its processes."""
        with suppress(ToolchainError):
            self._send("Browser.close", {}, None)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
        self._reader.join(5)
        os.close(self._out)
        os.close(self._in)

    def _listen(self, session: str) -> None:
        self._send("Network.enable", {}, session)
        self._send("Runtime.enable", {}, session)
        self._send("Target.setAutoAttach", _FOLLOW, session)

    def _send(self, method: str, params: Message, session: str | None) -> int:
        with self._lock:
            self._number += 1
            message = {"id": self._number, "method": method, "params": params}
            if session:
                message["sessionId"] = session
            try:
                os.write(self._out, json.dumps(message).encode() + b"\0")
            except BrokenPipeError as error:
                raise ToolchainError("The browser ended by itself.") from error
            return self._number

    def _read(self) -> None:
        data = b""
        with suppress(OSError):
            while chunk := os.read(self._in, 1 << 16):
                data += chunk
                while b"\0" in data:
                    text, _, data = data.partition(b"\0")
                    self._heard(json.loads(text))
        self._answers.put(None)

    def _heard(self, message: Message) -> None:
        if "id" in message:
            self._answers.put(message)
            return
        params: Message = message.get("params", {})
        event = _EVENTS.get(message["method"])
        if message["method"] == "Target.attachedToTarget":
            self._listen(params["sessionId"])
            self._send("Runtime.runIfWaitingForDebugger", {}, params["sessionId"])
        elif event and self._page:
            event(self._page, params)


def _asked(page: Page, params: Message) -> None:
    url = params["request"]["url"]
    if url.startswith(("http:", "https:", "ws:", "wss:")):
        page.requests.setdefault(params["requestId"], Request(url))


def _answered(page: Page, params: Message) -> None:
    response = params["response"]
    if request := page.requests.get(params["requestId"]):
        request.status = response["status"]
        request.cached = bool(response.get("fromDiskCache") or response.get("fromServiceWorker"))


def _memory(page: Page, params: Message) -> None:
    if request := page.requests.get(params["requestId"]):
        request.cached = True


def _ended(page: Page, params: Message) -> None:
    if (request := page.requests.get(params["requestId"])) and not request.cached:
        request.size = int(params["encodedDataLength"])


def _broke(page: Page, params: Message) -> None:
    if request := page.requests.get(params["requestId"]):
        request.failed = str(params["errorText"])


def _said(page: Page, params: Message) -> None:
    words = [str(one.get("value", one.get("description", ""))) for one in params["args"]]
    page.console.append(" ".join(words))


def _threw(page: Page, params: Message) -> None:
    details = params["exceptionDetails"]
    page.console.append(str(details.get("exception", {}).get("description", details["text"])))


_EVENTS: Mapping[str, Callable[[Page, Message], None]] = {
    "Network.requestWillBeSent": _asked,
    "Network.responseReceived": _answered,
    "Network.requestServedFromCache": _memory,
    "Network.loadingFinished": _ended,
    "Network.loadingFailed": _broke,
    "Runtime.consoleAPICalled": _said,
    "Runtime.exceptionThrown": _threw,
}
