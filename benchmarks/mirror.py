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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyodide_offline.features.mirror import tokens
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


def hits(folder: Path, rounds: int, seconds: float, before: str, *, guarded: bool) -> None:
    """Compare with nginx's sendfile: the same files, the same connections, in turn.

    ``guarded``: with a second front of ours, that wants a token.
    """
    ratios: dict[tuple[str, str], list[float]] = {}
    for label, size in SIZES.items():
        place = folder / label.replace(" ", "")
        place.mkdir()
        body = os.urandom(size)
        plain = f"server {{ listen 127.0.0.1:PORT; root {place}; sendfile on; tcp_nopush on; }}"
        with ExitStack() as running:
            slow = running.enter_context(upstream(place, body, seconds=0))
            peer = running.enter_context(nginx(place / "nginx", plain))
            ours = {"ours": running.enter_context(_ours(place / "ours", slow.url, before))}
            if guarded:
                other = _ours(place / "with a token", slow.url, before, guarded=True)
                ours["ours, with a token"] = running.enter_context(other)
            for address, header in ours.values():
                for _ in range(3):
                    if httpx.get(address + PATH, headers=header, trust_env=False).content != body:
                        raise SystemExit(f"{address} does not serve the file")
            for _ in range(rounds):
                theirs = wrk(f"{peer}/sent", seconds)
                told = f"  {label:>6}: nginx {theirs:8.0f}/s"
                for who, (address, header) in ours.items():
                    mine = wrk(f"{address}{PATH}", seconds, header)
                    ratios.setdefault((label, who), []).append(mine / theirs)
                    told += f"  {who} {mine:8.0f}/s"
                print(told, flush=True)
    for (label, who), found in ratios.items():
        print(f"{label:>6}: {statistics.median(found):.2f} of nginx's rate, {who}")
        if plainly := ratios.get((label, "ours")) if who != "ours" else None:
            pairs = [mine / other for mine, other in zip(found, plainly, strict=True)]
            print(f"{label:>6}: {statistics.median(pairs):.2f} of the rate without a token")


@contextmanager
def _ours(
    place: Path, npm: str, before: str, *, guarded: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the address to ask, the front's or nginx's before it, and the headers to ask with."""
    cache = place / "front0" / "own" / "mirror"
    told = {"accel": ["--x-accel", f"/held/={cache}"], "linked": ["--nginx-root", f"{place}/n"]}
    header = {}
    if guarded:
        token = tokens.add(place / "front0" / "tokens", "benchmark", tokens.READ)
        header["Authorization"] = f"Bearer {token}"
    arguments = ["--rate", "0", *told.get(before, [])]
    with (
        Fronts(place, str(cache / "depot"), npm, 1, arguments=arguments) as running,
        _before(before, place, running.urls[0], cache, guarded=guarded) as address,
    ):
        yield address, header


@contextmanager
def _before(kind: str, place: Path, front: str, held: Path, *, guarded: bool) -> Iterator[str]:
    server = front.removeprefix("http://")
    if not kind:
        yield front
        return
    servers = (
        f"upstream mirror {{ server {server}; keepalive 32; }}"
        f"server {{ listen 127.0.0.1:PORT; sendfile on; tcp_nopush on;"
        f"location /npm/ {{ proxy_pass http://mirror; proxy_http_version 1.1;"
        f'proxy_set_header Connection ""; proxy_set_header Host $http_host; }}'
        f"location /held/ {{ internal; alias '{held}/'; }} }}"
    )
    if kind == "linked":
        shown = "tokens" if guarded else "open"
        port = "443 ssl" if guarded else "80"  # whose TLS is left away here
        servers = example(
            f"nginx{'-tokens' if guarded else ''}.conf",
            {
                "127.0.0.1:8417": server,
                f"/var/cache/pyodide-mirror/nginx/{shown};": f"'{place}/n/{shown}';",
                f"listen {port};": "listen 127.0.0.1:PORT;",
                f"listen {port} default_server;": "listen 127.0.0.1:PORT default_server;",
                "mirror.example.com;": "127.0.0.1;",
                **({"/run/pyodide-mirror-tokens ": f"'{place}/asked' "} if guarded else {}),
            },
        )
        servers = "".join(line for line in servers.splitlines(True) if "ssl_cert" not in line)
    with nginx(place / "before", servers) as address:
        yield address


def wrk(url: str, seconds: float, header: Mapping[str, str] | None = None) -> float:
    """Return answers a second, with 16 connections."""
    told = [word for name, value in (header or {}).items() for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", "-c16", f"-d{seconds:g}s", "--timeout", "30s", *told, url]
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
    parser.add_argument("--tokens", action="store_true", help="and a front that wants a token")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirror-benchmark-") as name:
        folder = Path(name)
        if options.what == "memory":
            memory(folder, options.clients, options.seconds)
        elif options.what == "hits":
            hits(folder, options.rounds, 3, options.before, guarded=options.tokens)
        else:
            poison = options.what == "poison"
            stampede(folder, options.clients, options.fronts, options.seconds, poison=poison)


if __name__ == "__main__":
    main()
