"""A mirror under load: stampedes over one SeaweedFS, a poisoned upstream, memory, hits.

    python benchmarks/mirror.py stampede   # 200 clients, 3 fronts, 14 MB that takes 8 s
    python benchmarks/mirror.py poison     # the same, the last byte being wrong
    python benchmarks/mirror.py memory     # one front, 200 misses of 14 MB under way
    python benchmarks/mirror.py hits       # against nginx, interleaved; wrk is needed

nginx sends the same files with sendfile. With --before, nginx stands before our front too: as
examples/mirror/nginx.conf has it (linked: it asks only for what is not held), or sending what
the front names in each answer (accel: X-Accel-Redirect).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.peers.crowd import NAME, PATH, Fronts, Seen, crowd, upstream
from tests.peers.nginx import example, nginx
from tests.peers.stores import seaweedfs

SIZE = 14 << 20
SIZES = {"4 KB": 4 << 10, "200 KB": 200 << 10, "14 MB": SIZE}


def stampede(folder: Path, clients: int, fronts: int, seconds: float, *, poison: bool) -> None:
    """Let a crowd ask for one cold file."""
    body = os.urandom(SIZE)
    wrong = body[:-1] + bytes([body[-1] ^ 1])
    with (
        seaweedfs(folder / "seaweed") as store,
        upstream(folder, wrong if poison else body, seconds=seconds, promised=body) as slow,
        Fronts(folder, store.url(), slow.url, fronts, store.environ) as running,
    ):
        seen = crowd([f"{one}{PATH}" for one in running.urls], clients, body)
        whole = [one for one in seen if one.whole]
        print(f"{clients} clients, {fronts} fronts, {SIZE >> 20} MB in {seconds:g} s")
        print(f"  upstream fetches   {slow.count}")
        print(f"  whole and right    {sum(one.right for one in whole)}")
        print(f"  whole and wrong    {sum(not one.right for one in whole)}")
        print(f"  most memory        {running.memory() >> 20} MB")
        for url in sorted(running.urls, key=lambda url: _worst(seen, url)):
            mine = [one for one in seen if one.url.startswith(url) and one.first]
            if mine:
                firsts = sorted(one.first for one in mine)
                print(
                    f"  front {url[-5:]}: first byte {firsts[0]:.2f} to {firsts[-1]:.2f} s, "
                    f"slowest client {max(one.last for one in mine):.2f} s"
                )


def _worst(seen: list[Seen], url: str) -> float:
    return max((one.first for one in seen if one.url.startswith(url)), default=0.0)


def memory(folder: Path, misses: int, seconds: float) -> None:
    """Have so many misses of different files under way at one front."""
    body = os.urandom(SIZE)
    with (
        upstream(folder, body, seconds=seconds) as slow,
        Fronts(folder, str(folder / "depot"), slow.url, 1) as running,
    ):
        idle = running.memory()
        (url,) = running.urls
        paths = [PATH.replace(NAME, f"{NAME}{number}") for number in range(misses)]
        seen = crowd([f"{url}{path}" for path in paths], misses, body)
        right = sum(one.whole and one.right for one in seen)
        slowest = max(one.last for one in seen)
        print(f"{misses} misses of {SIZE >> 20} MB under way at one front")
        print(f"  right {right}, upstream fetches {slow.count}, slowest {slowest:.1f} s")
        print(f"  most memory {running.memory() >> 20} MB (idle {idle >> 20} MB)")


def hits(folder: Path, rounds: int, seconds: float, before: str) -> None:
    """Compare with nginx's sendfile: the same files, the same connections, in turn."""
    ratios: dict[str, list[float]] = {}
    for label, size in SIZES.items():
        place = folder / label.replace(" ", "")
        place.mkdir()
        body = os.urandom(size)
        cache = place / "front0" / "own" / "mirror"
        told = {"accel": ["--x-accel", f"/held/={cache}"], "linked": ["--nginx-root", f"{place}/n"]}
        arguments = ["--rate", "0", *told.get(before, [])]
        plain = f"server {{ listen 127.0.0.1:PORT; root {place}; sendfile on; tcp_nopush on; }}"
        with (
            upstream(place, body, seconds=0) as slow,
            Fronts(place, str(cache / "depot"), slow.url, 1, arguments=arguments) as running,
            nginx(place / "nginx", plain) as peer,
            _before(before, place, running.urls[0], cache) as ours,
        ):
            for _ in range(3):
                crowd([f"{ours}{PATH}"], 1, body)
            for _ in range(rounds):
                theirs = wrk(f"{peer}/sent", seconds)
                mine = wrk(f"{ours}{PATH}", seconds)
                ratios.setdefault(label, []).append(mine / theirs)
                print(f"  {label:>6}: nginx {theirs:8.0f}/s  ours {mine:8.0f}/s", flush=True)
    for label, found in ratios.items():
        print(f"{label:>6}: {statistics.median(found):.2f} of nginx's rate")


@contextmanager
def _before(kind: str, place: Path, front: str, held: Path) -> Iterator[str]:
    """Yield the address to ask: the front's, or nginx's before it."""
    server = front.removeprefix("http://")
    if not kind:
        yield front
        return
    servers = (
        f"upstream mirror {{ server {server}; keepalive 32; }}"
        f"server {{ listen 127.0.0.1:PORT; sendfile on; tcp_nopush on;"
        f"location /npm/ {{ proxy_pass http://mirror; proxy_http_version 1.1;"
        f'proxy_set_header Connection ""; proxy_set_header Host $http_host; }}'
        f"location /held/ {{ internal; alias {held}/; }} }}"
    )
    if kind == "linked":
        servers = example(
            "nginx.conf",
            {
                "127.0.0.1:8417": server,
                "/var/cache/pyodide-mirror/nginx/open": f"{place}/n/open",
                "listen 80;": "listen 127.0.0.1:PORT;",
                "listen 80 default_server;": "listen 127.0.0.1:PORT default_server;",
                "mirror.example.com;": "127.0.0.1;",
            },
        )
    with nginx(place / "before", servers) as address:
        yield address


def wrk(url: str, seconds: float) -> float:
    """Return answers a second, with 16 connections."""
    command = ["wrk", "-t1", "-c16", f"-d{seconds:g}s", url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    return float(out.split("Requests/sec:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["stampede", "poison", "memory", "hits"])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--fronts", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one upstream fetch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", choices=["accel", "linked"], default="", help="nginx before us")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirror-benchmark-") as name:
        folder = Path(name)
        if options.what == "memory":
            memory(folder, options.clients, options.seconds)
        elif options.what == "hits":
            hits(folder, options.rounds, 3, options.before)
        else:
            poison = options.what == "poison"
            stampede(folder, options.clients, options.fronts, options.seconds, poison=poison)


if __name__ == "__main__":
    main()
