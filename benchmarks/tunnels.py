"""The tunnels that are compared: ours and its peers, each started to lead to one port."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")
_PX = "0.13.0"
_PX_HOME = Path(sys.prefix) / "peers" / f"px-{_PX}"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """``command`` of port, far port and a folder of its own. ``asked``: by CONNECT, per client."""

    command: Callable[[int, int, Path], list[str]]
    asked: bool = False


@dataclass(frozen=True)
class Running:
    """A tunnel that runs: where, whose, and where it leads."""

    pid: int
    port: int
    far: int
    asked: bool

    def connect(self) -> socket.socket:
        """Return a connection to the far end."""
        sock = socket.create_connection(("127.0.0.1", self.port), 60)
        if self.asked:
            host = f"127.0.0.1:{self.far}"
            sock.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                # One by one: what comes after the head is the far end's.
                if not (sign := sock.recv(1)):
                    raise ConnectionResetError("no tunnel")
                head += sign
        return sock


def cpu(pid: int) -> float:
    """User and system seconds of a process and of its children, ended and living."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    total = sum(int(word) for word in words[11:15]) / _TICK
    for child in _children(pid):
        with suppress(OSError):
            total += cpu(child)
    return total


def memory(pid: int) -> float:
    """Resident MiB of a process and of its children."""
    total = 0.0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            total += int(line.split()[1]) / 1024
    for child in _children(pid):
        with suppress(OSError):
            total += memory(child)
    return total


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def _ours(port: int, far: int, _: Path) -> list[str]:
    target = ["--target", f"127.0.0.1:{far}"]
    return [PROGRAM, "tunnel", "-q", "--listen", f"127.0.0.1:{port}", *target]


def _socat(port: int, far: int, _: Path) -> list[str]:
    listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=1024"
    return [shutil.which("socat") or "", "-b", "262144", listen, f"TCP:127.0.0.1:{far}"]


def _haproxy(port: int, far: int, folder: Path) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n  nbthread 1\n  maxconn 4000\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen one\n  bind 127.0.0.1:{port}\n  server far 127.0.0.1:{far}\n"
    )
    return [shutil.which("haproxy") or "", "-db", "-f", str(config)]


def _px(port: int, _far: int, folder: Path) -> list[str]:
    # The folder is where it would look for a px.ini.
    program = str(_PX_HOME / "bin" / "px")
    named = [f"--port={port}", "--listen=127.0.0.1", "--noproxy=127.0.0.1", "--workers=1"]
    return ["env", "-C", str(folder), program, *named, "--threads=64"]


def peers() -> Mapping[str, Peer]:
    """Return those that can be started here; px-proxy is brought into a venv of its own."""
    found = {"ours": Peer(_ours)}
    if shutil.which("socat"):
        found["socat -b 262144"] = Peer(_socat)
    if shutil.which("haproxy"):
        found["haproxy tcp"] = Peer(_haproxy)
    if (_PX_HOME / "bin" / "px").is_file() or _bring_px():
        found[f"px-proxy {_PX}"] = Peer(_px, asked=True)
    return found


def _bring_px() -> bool:
    _PX_HOME.parent.mkdir(exist_ok=True)
    with suppress(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_PX_HOME)], check=True)
        pip = [str(_PX_HOME / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, f"px-proxy=={_PX}"], check=True, stdin=subprocess.DEVNULL)
        return True
    return False


@contextmanager
def started(peer: Peer, far: int, folder: Path) -> Iterator[Running]:
    """Run a tunnel to a port of this machine; yield it once it listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = int(sock.getsockname()[1])
    quiet = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    with subprocess.Popen(
        peer.command(port, far, folder),
        env=quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            for _ in range(500):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            time.sleep(0.2)
            yield Running(child.pid, port, far, peer.asked)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, 15)
