"""What a tunnel costs, against socat, haproxy and px-proxy, in one interleaved run.

A sink reads what a source sends, with the tunnel between; nothing is looked at on the way.
Every round runs each once, in another order; medians, and ratios to ours:

    python benchmarks/tunnel.py --rounds 7 --mib 2048
    python benchmarks/tunnel.py --rounds 5 --mib 2048 --at-once 32
    python benchmarks/tunnel.py --setups 300     # connect, one byte, end: p50 and p99
    python benchmarks/tunnel.py --many 1000      # open together: how many are lost, memory
    python benchmarks/tunnel.py --half-close     # 1 MiB, 1.5 s after the client's end

Those that are installed take part (`socat -b 262144`, `haproxy` in mode tcp); px-proxy is
brought by pip. Ours goes direct, as theirs do: the way through a proxy differs in the first
bytes only. CPU seconds are user and system of the process and its children, from /proc.
"""

import argparse
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tunnels import (
    Peer,
    Running,
    cpu,
    memory,
    peers,
    started,
)

MIB = 1 << 20
# The far end, in a process of its own; prints its port. "send N": so many bytes to each who
# connects. "late": 1 MiB to each, 1.5 s after its end. "hold": greets, gives back two bytes.
FAR = """
import contextlib, socket, sys, threading, time
what, size, chunk = sys.argv[1], int(sys.argv[2]), bytes(1 << 20)
def serve(sock):
    left = size
    with sock, contextlib.suppress(OSError):  # one connection only asks whether it listens
        if what == "hold":
            sock.sendall(b"x")
            sock.sendall(sock.recv(2))
            return
        if what == "late":
            while sock.recv(1 << 16):
                pass
            time.sleep(1.5)
        while left:
            left -= sock.send(chunk[:left])
threading.stack_size(1 << 18)
with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
Row = tuple[float, ...]
Measure = Callable[[Running], Row]


def read(sock: socket.socket) -> int:
    """Return how many bytes come until the end, or until the connection breaks."""
    buffer, got = bytearray(MIB), 0
    with sock, suppress(OSError):
        while count := sock.recv_into(buffer):
            got += count
    return got


def bulk(size: int, at_once: int) -> Measure:
    """CPU seconds a GiB, and MiB a second."""

    def measure(tunnel: Running) -> Row:
        came: list[int] = []

        def fetch() -> None:
            with suppress(OSError):
                came.append(read(tunnel.connect()))

        before, began = cpu(tunnel.pid), time.monotonic()
        threads = [threading.Thread(target=fetch) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        time.sleep(0.1)  # socat's children are counted once they have been waited for
        moved = sum(came) / MIB
        return (
            (cpu(tunnel.pid) - before) / moved * 1024,
            moved / seconds,
            at_once - came.count(size),
        )

    return measure


def setups(count: int) -> Measure:
    """Milliseconds that a connection takes to its first byte: p50 and p99."""

    def measure(tunnel: Running) -> Row:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            read(tunnel.connect())
            took.append((time.perf_counter() - began) * 1000)
        took.sort()
        return took[len(took) // 2], took[len(took) * 99 // 100]

    return measure


def many(count: int) -> Measure:
    """How many of so many open tunnels do not work, MiB before, with all open, afterwards."""

    def measure(tunnel: Running) -> Row:
        before, lost, held = memory(tunnel.pid), 0, []
        for _ in range(count):
            try:
                sock = tunnel.connect()
                sock.settimeout(20)
                if sock.recv(1) != b"x":
                    raise ConnectionResetError
                held.append(sock)
            except OSError:
                lost += 1
                if lost > 20 and not held[lost:]:
                    break
        full = memory(tunnel.pid)
        for sock in held:
            try:
                sock.sendall(b"ab")
                lost += read(sock) != 2
            except OSError:
                lost += 1
        time.sleep(0.5)
        return lost, before, full, memory(tunnel.pid)

    return measure


def half_close(tunnel: Running) -> Row:
    """KiB of the 1 MiB that arrive although the client has ended its way long before."""
    sock = tunnel.connect()
    sock.sendall(b"hello")
    sock.shutdown(socket.SHUT_WR)
    return (read(sock) / 1024,)


@contextmanager
def far_end(what: str, size: int) -> Iterator[int]:
    """Run the far end; its port."""
    command = [sys.executable, "-c", FAR, what, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout  # noqa: S101
            yield int(child.stdout.readline())
        finally:
            child.kill()


def compare(
    all_of_them: Mapping[str, Peer], measure: Measure, far: int, rounds: int
) -> dict[str, list[Row]]:
    """Return what was measured of each, a row a round."""
    results: dict[str, list[Row]] = {name: [] for name in all_of_them}
    for _ in range(rounds):
        for name in random.sample(sorted(all_of_them), len(all_of_them)):
            with (
                tempfile.TemporaryDirectory() as folder,
                started(all_of_them[name], far, Path(folder)) as tunnel,
            ):
                results[name].append(measure(tunnel))
    return results


def show(results: Mapping[str, list[Row]], heads: list[str], ratios: int) -> None:
    """Print medians, and of the first columns how ours compares."""
    base = [statistics.median(column) for column in zip(*results["ours"], strict=True)]
    shown = [
        f"{head:>11}" + (f"{'ours is':>9}" if at < ratios else "") for at, head in enumerate(heads)
    ]
    print(f"{'':18}" + "".join(shown))
    for name, rows in results.items():
        line = f"{name:18}"
        for at, column in enumerate(zip(*rows, strict=True)):
            middle = statistics.median(column)
            line += f"{middle:11.2f}"
            if at < ratios:
                line += f"{base[at] / middle:8.2f}x" if middle else f"{'':9}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=512, help="in all, each time")
    parser.add_argument("--at-once", type=int, default=1, help="connections to share them")
    parser.add_argument("--setups", type=int, default=0, help="connections, one by one, instead")
    parser.add_argument("--many", type=int, default=0, help="tunnels open together, instead")
    parser.add_argument("--half-close", action="store_true", help="an answer after the end")
    parser.add_argument("--only", default="", help="peers whose names hold this, beside ours")
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    size = chosen.mib * MIB // chosen.at_once
    what, measure, heads, ratios = (
        "send",
        bulk(size, chosen.at_once),
        ["CPU s/GiB", "MiB/s", "lost"],
        2,
    )
    if chosen.setups:
        size, measure, heads = 1, setups(chosen.setups), ["p50 ms", "p99 ms"]
    elif chosen.many:
        heads, ratios = ["lost", "MiB before", "with all", "after"], 0
        what, measure = "hold", many(chosen.many)
    elif chosen.half_close:
        what, size, measure, heads, ratios = "late", MIB, half_close, ["KiB of 1024"], 0
    found = {name: one for name, one in peers().items() if name == "ours" or chosen.only in name}
    with far_end(what, size) as far:
        show(compare(found, measure, far, chosen.rounds), heads, ratios)


if __name__ == "__main__":
    main()
