"""A client's machine that reaches one server and nobody else.

A command runs in the network that counts (``netns``): nothing is there but loopback and a
way out that leads nowhere. Ports of its loopback are bridged, by sockets of the file system,
to a server of the test outside. ``visit`` runs a command there; with ``pages`` it is a server
itself: they are asked for once it answers, and it is ended.

Standard library only: the file runs itself, as a script, in the namespace.
"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.peers.netns import Counted

PIECE = 1 << 16
PATIENCE = 300.0  # seconds for a command that is a server to answer


def visit(
    command: Sequence[str],
    *,
    bridges: Mapping[int, tuple[str, int]],
    cwd: Path,
    env: Mapping[str, str],
    hosts: Sequence[str] = (),
    pages: Sequence[str] = (),
    port: int = 0,
    timeout: float = 600,
) -> "Counted":
    """Run a command there and return what it left.

    ``bridges``: a port of the island's loopback → a server outside; ``hosts`` are names that
    lead to that loopback; ``pages`` are asked of ``port`` and told as ``PAGE <path> <text>``.
    """
    from tests.peers.netns import run_counted

    with tempfile.TemporaryDirectory(prefix="isle-") as folder, _ferries(folder, bridges) as made:
        wanted = {
            "command": list(command),
            "bridges": made,
            "hosts": ["127.0.0.1 localhost", *(f"127.0.0.1 {one}" for one in hosts)],
            "folder": folder,
            "pages": list(pages),
            "port": port,
            "env": dict(env),
        }
        me = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(wanted)]
        return run_counted(me, cwd=cwd, timeout=timeout)


@contextmanager
def _ferries(folder: str, bridges: Mapping[int, tuple[str, int]]) -> Iterator[dict[int, str]]:
    """Listen on a socket of the file system for each bridge; lead what comes to its server."""
    made, open_sockets = {}, []
    try:
        for port, server in bridges.items():
            path = f"{folder}/{port}"
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(path)
            listening.listen(200)
            open_sockets.append(listening)
            _lead(listening, socket.AF_INET, server)
            made[port] = path
        yield made
    finally:
        for one in open_sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _lead(listening: socket.socket, family: int, server: object) -> None:
    threading.Thread(target=_accept, args=(listening, family, server), daemon=True).start()


def _accept(listening: socket.socket, family: int, server: object) -> None:
    while True:
        try:
            here = listening.accept()[0]
        except OSError:
            return
        threading.Thread(target=_join, args=(here, family, server), daemon=True).start()


def _join(here: socket.socket, family: int, server: object) -> None:
    with here, socket.socket(family) as there, suppress(OSError):
        there.connect(server)  # type: ignore[arg-type]
        back = threading.Thread(target=_pump, args=(there, here), daemon=True)
        back.start()
        _pump(here, there)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(PIECE):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def _inside(wanted: dict[str, Any]) -> int:
    folder = Path(str(wanted["folder"]))
    hosts = folder / "hosts"
    hosts.write_text("\n".join([*map(str, wanted["hosts"]), ""]))
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    for port, path in wanted["bridges"].items():
        _lead(socket.create_server(("127.0.0.1", int(port)), backlog=200), socket.AF_UNIX, path)
    child: subprocess.Popen[bytes] = subprocess.Popen(wanted["command"], env=wanted["env"])
    pages = list(map(str, wanted["pages"]))
    if not pages:
        return child.wait()
    try:
        for path in pages:
            print("PAGE", path, _page(int(str(wanted["port"])), path, child), flush=True)
        child.send_signal(signal.SIGINT)
        child.wait(60)
    finally:
        if child.poll() is None:
            child.kill()
    return 0


def _page(port: int, path: str, child: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            connection.request("GET", path)
            return connection.getresponse().read().decode().strip()
        except OSError:
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no answer; the command's status is {child.poll()}") from None
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(_inside(json.loads(sys.argv[1])))
