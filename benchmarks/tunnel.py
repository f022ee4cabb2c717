"""What a tunnel costs, against socat and haproxy, in one interleaved run.

A sink reads what a source sends, with the tunnel between; nothing is looked at on the way.
Every round runs each once, in another order; medians, and ratios to ours:

    python benchmarks/tunnel.py --rounds 7 --mib 2048
    python benchmarks/tunnel.py --rounds 5 --mib 2048 --at-once 32
    python benchmarks/tunnel.py --setups 300    # connect, one byte, end: p50 and p99

`socat -b 262144` and `haproxy` (mode tcp) take part where they are installed. Ours goes
direct, as theirs do: the way through a proxy differs in the first bytes only. CPU seconds
are user and system of the process and its children, from /proc.
"""

import argparse
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "pyodide-offline")
MIB = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")
# Sends a number of bytes to each who connects, in a process of its own; prints its port.
SOURCE = """
import contextlib, socket, sys, threading
size, chunk = int(sys.argv[1]), bytes(1 << 20)
def send(sock):
    left = size
    with sock, contextlib.suppress(OSError):  # one connection only asks whether it listens
        while left:
            left -= sock.send(chunk[:left])
with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=send, args=(server.accept()[0],), daemon=True).start()
"""


def cpu(pid: int) -> float:
    """User and system seconds of a process and of its children, ended and living."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    total = sum(int(word) for word in words[11:15]) / _TICK
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                total += cpu(int(child))
    return total


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def ours(port: int, source: int, _: Path) -> list[str]:
    target = ["--target", f"127.0.0.1:{source}"]
    return [PROGRAM, "tunnel", "-q", "--listen", f"127.0.0.1:{port}", *target]


def socat(port: int, source: int, _: Path) -> list[str]:
    listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=256"
    return [shutil.which("socat") or "", "-b", "262144", listen, f"TCP:127.0.0.1:{source}"]


def haproxy(port: int, source: int, folder: Path) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n  nbthread 1\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen one\n  bind 127.0.0.1:{port}\n  server far 127.0.0.1:{source}\n"
    )
    return [shutil.which("haproxy") or "", "-db", "-f", str(config)]


@contextmanager
def started(command: list[str], port: int) -> Iterator[int]:
    """Run a tunnel; yield its pid once it listens."""
    quiet = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    with subprocess.Popen(
        command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            for _ in range(500):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            time.sleep(0.2)
            yield child.pid
        finally:
            child.terminate()


def fetch(port: int, size: int) -> None:
    """Connect and read all of it."""
    buffer, got = bytearray(MIB), 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        while count := sock.recv_into(buffer):
            got += count
    if got != size:
        raise SystemExit(f"{got} of {size} bytes came")


def measure(
    make: Callable[[int, int, Path], list[str]], source: int, size: int, at_once: int
) -> tuple[float, float]:
    """Return CPU seconds a GiB and MiB a second."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with started(make(port, source, Path(folder)), port) as pid:
            before, began = cpu(pid), time.monotonic()
            threads = [threading.Thread(target=fetch, args=(port, size)) for _ in range(at_once)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - began
            time.sleep(0.1)  # socat's children are counted once they have been waited for
            spent = cpu(pid) - before
    moved = size * at_once / MIB
    return spent / moved * 1024, moved / seconds


def setups(
    make: Callable[[int, int, Path], list[str]], source: int, count: int
) -> tuple[float, float]:
    """Return p50 and p99 of the milliseconds that a connection takes to its first byte."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with started(make(port, source, Path(folder)), port):
            for _ in range(count):
                began = time.perf_counter()
                fetch(port, 1)
                took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=512, help="in all, each time")
    parser.add_argument("--at-once", type=int, default=1, help="connections to share them")
    parser.add_argument("--setups", type=int, default=0, help="connections, one by one, instead")
    chosen = parser.parse_args()
    made: dict[str, Callable[[int, int, Path], list[str]]] = {"ours": ours}
    if shutil.which("socat"):
        made["socat -b 262144"] = socat
    if shutil.which("haproxy"):
        made["haproxy tcp"] = haproxy
    size = 1 if chosen.setups else chosen.mib * MIB // chosen.at_once
    with subprocess.Popen(
        [sys.executable, "-c", SOURCE, str(size)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout  # noqa: S101
            port = re.match(r"\d+", child.stdout.readline())
            assert port  # noqa: S101
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
            for _ in range(chosen.rounds):
                for name in random.sample(sorted(made), len(made)):
                    far = int(port[0])
                    results[name].append(
                        setups(made[name], far, chosen.setups)
                        if chosen.setups
                        else measure(made[name], far, size, chosen.at_once)
                    )
        finally:
            child.kill()
    base = [statistics.median(column) for column in zip(*results["ours"], strict=True)]
    heads = ("p50 ms", "p99 ms") if chosen.setups else ("CPU s/GiB", "MiB/s")
    print(f"{'':18}" + "".join(f"{head:>10}{'ours is':>9}" for head in heads))
    for name, rows in results.items():
        middles = [statistics.median(column) for column in zip(*rows, strict=True)]
        shown = zip(middles, base, strict=True)
        print(f"{name:18}" + "".join(f"{one:10.2f}{our / one:8.2f}x" for one, our in shown))


if __name__ == "__main__":
    main()
