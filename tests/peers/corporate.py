"""A client's machine with no DNS and no way out but a proxy, as namespaces on this machine.

It has a hosts file of its own (bind-mounted, as in a container), loopback, a proxy that
knows one host, and that host: a TLS server that gives a bundle, and for each package that
workerd loads with it (whatever ends with .gz) an empty archive, which it takes.
``play`` runs a command in there, waits until the program's server answers, and tells what
was seen. The file runs itself, as a script, in the namespaces.
"""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.peers.authority import Authority
from tests.peers.netns import shell, unshare
from tests.peers.tunnelling import Proxy

HOSTS = b"127.0.0.1 localhost"
LOGIN = "me:secret"


@dataclass(frozen=True)
class Seen:
    """``pages`` by path, what the host was asked for, the proxy's CONNECTs, the hosts file."""

    status: int
    output: str
    pages: Mapping[str, str]
    asked: Sequence[str]
    connects: Sequence[Sequence[object]]
    hosts_meanwhile: str
    hosts_after: str


def play(
    command: Sequence[str],
    *,
    host: str,
    file: Path,
    folder: Path,
    cwd: Path,
    env: Mapping[str, str],
    port: int,
    paths: Sequence[str],
) -> Seen:
    """Run a command there, fetch the paths from the port, end it with SIGTERM.

    Without paths its own end is waited for. HTTPS_PROXY and SSL_CERT_FILE are set for it.
    ``folder`` is for the scene's own files.
    """
    folder.mkdir()
    (folder / "hosts").write_bytes(HOSTS)
    wanted = {
        "command": list(command), "host": host, "file": str(file), "folder": str(folder),
        "port": port, "paths": list(paths),
    }  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*unshare(), "--net", "--mount", sys.executable, "-m", __name__, json.dumps(wanted)],
        cwd=cwd,
        env={**env, "PYTHONPATH": str(root), "PATH": f"{env['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Seen(**json.loads((folder / "seen.json").read_text(encoding="utf-8")))


def _scene(wanted: dict[str, object]) -> None:
    folder = Path(str(wanted["folder"]))
    shell(f"ip link set lo up && mount --bind '{folder / 'hosts'}' /etc/hosts")
    host, asked = str(wanted["host"]), []
    content = Path(str(wanted["file"])).read_bytes()
    # A tar file ends with two empty blocks.
    empty = gzip.compress(bytes(10240))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            body = empty if self.path.endswith(".gz") else content
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    authority = Authority(folder / "ca", host)
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin.socket = authority.server().wrap_socket(origin.socket, server_side=True)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with Proxy({(host, 443): ("127.0.0.1", origin.server_port)}, LOGIN) as proxy:
        url = proxy.url.replace("://", f"://{LOGIN}@")
        env = {**os.environ, "HTTPS_PROXY": url, "SSL_CERT_FILE": str(authority.ca)}
        log = folder / "output"
        with log.open("wb") as output:
            child = subprocess.Popen(
                list(map(str, wanted["command"])),  # type: ignore[call-overload]
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        pages = {}
        for path in wanted["paths"]:  # type: ignore[attr-defined]
            pages[str(path)] = _page(f"http://127.0.0.1:{wanted['port']}{path}", child)
        meanwhile = Path("/etc/hosts").read_text(encoding="utf-8")
        if not wanted["paths"]:
            with suppress(subprocess.TimeoutExpired):
                child.wait(90)
        child.terminate()
        try:
            status = child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
        seen = {
            "status": status, "output": log.read_text(encoding="utf-8", errors="replace"),
            "pages": pages, "asked": asked, "connects": proxy.asked,
            "hosts_meanwhile": meanwhile,
            "hosts_after": Path("/etc/hosts").read_text(encoding="utf-8"),
        }  # fmt: skip
    (folder / "seen.json").write_text(json.dumps(seen), encoding="utf-8")


def _page(url: str, child: "subprocess.Popen[bytes]") -> str:
    """Return the page once there is one; what went wrong when there is none."""
    deadline, problem = time.monotonic() + 60, ""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with opener.open(url, timeout=60) as answer:
                return str(answer.read().decode())
        except OSError as error:
            problem = str(error)
            time.sleep(0.1)
    return f"no page: {problem}"


if __name__ == "__main__":
    _scene(json.loads(sys.argv[1]))
