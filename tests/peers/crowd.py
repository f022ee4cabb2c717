"""A crowd of clients, and an upstream that takes its time; for a mirror between them.

with upstream(BODY, seconds=8) as slow:                 # a process of its own
    with Fronts(folder, store, slow.url, count=3) as fronts:
        seen = crowd([front + PATH for front in fronts.urls], 200, BODY)
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

NAME = "big"
PATH = f"/npm/{NAME}/-/{NAME}-1.0.0.tgz"

# npm's registry with one package. Prints its port; GET /count says how often the tarball was
# asked for. Arguments: file to send, seconds that it takes, file whose digest it announces.
_UPSTREAM = r"""
import asyncio, base64, hashlib, json, sys
body = open(sys.argv[1], "rb").read()
seconds = float(sys.argv[2])
promised = hashlib.sha512(open(sys.argv[3], "rb").read()).digest()
integrity = "sha512-" + base64.b64encode(promised).decode()
count = 0
async def serve(reader, writer):
    global count
    try:
        while True:
            line = await reader.readline()
            if not line: break
            while (await reader.readline()).strip(): pass
            path = line.split()[1].decode()
            port = writer.get_extra_info("sockname")[1]
            name = path.strip("/").split("/")[0]
            if path == "/count":
                data = str(count).encode()
            elif path.endswith(".tgz"):
                count += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                steps = max(1, int(seconds * 20))
                size = -(-len(body) // steps)
                began = asyncio.get_running_loop().time()
                for n in range(steps):
                    writer.write(body[n * size:(n + 1) * size])
                    await writer.drain()
                    left = began + (n + 1) * seconds / steps - asyncio.get_running_loop().time()
                    if left > 0: await asyncio.sleep(left)
                continue
            else:
                file = f"http://127.0.0.1:{port}/{name}/-/{name}-1.0.0.tgz"
                dist = {"tarball": file, "integrity": integrity}
                version = {"name": name, "version": "1.0.0", "dist": dist}
                data = json.dumps({"name": name, "versions": {"1.0.0": version}}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            await writer.drain()
    except (ConnectionError, IndexError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass
class Slow:
    """The upstream's address, and how often its one file was asked for."""

    url: str

    @property
    def count(self) -> int:
        with _opener().open(f"{self.url}/count") as answer:
            return int(answer.read())


@contextmanager
def upstream(folder: Path, body: bytes, *, seconds: float, promised: bytes = b"") -> Iterator[Slow]:
    """Run the upstream; ``promised`` is what it gives the digest of, if not of the body."""
    files = folder / "sent", folder / "promised"
    for file, content in zip(files, (body, promised or body), strict=True):
        file.write_bytes(content)
    command = [sys.executable, "-c", _UPSTREAM, str(files[0]), str(seconds), str(files[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            yield Slow(f"http://127.0.0.1:{int(child.stdout.readline())}")
        finally:
            child.kill()


@dataclass
class Fronts:
    """Fronts as people start them, over one store; each with its own cache and log."""

    folder: Path
    store: str
    npm: str
    count: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    listen: str = "127.0.0.1:0"
    urls: list[str] = field(default_factory=list)
    children: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def __enter__(self) -> "Fronts":
        try:
            for number in range(self.count):
                self.start(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, number: int) -> None:
        place = self.folder / f"front{number}"
        place.mkdir(parents=True, exist_ok=True)
        log = place / "log"
        command = [
            sys.executable, "-m", "pyodide_offline", "mirror", "serve",
            "--listen", self.listen, "--store", self.store, "--store-dir", str(place / "own"),
            "--signing-key", str(self.folder / "signing.key"), "--tokens", str(place / "tokens"),
            "--upstream", f"npm={self.npm}/", "--upstream", f"pypi={self.npm}/", *self.arguments,
        ]  # fmt: skip
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        with log.open("wb") as file:
            child = subprocess.Popen(
                command, env={**kept, **self.environ}, stderr=file, stdout=file,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.children.append(child)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith("The mirror is at "):
                    self.urls.append(line.rpartition(" ")[2])
                    return
            time.sleep(0.05)
        raise AssertionError(f"a front does not start:\n{log.read_text(errors='replace')[-3000:]}")

    def memory(self) -> int:
        """Return the most that one front ever had in memory, in bytes."""
        peaks = []
        for child in self.children:
            status = Path(f"/proc/{child.pid}/status").read_text()
            line = next(one for one in status.splitlines() if one.startswith("VmHWM:"))
            peaks.append(int(line.split()[1]) * 1024)
        return max(peaks)


@dataclass
class Seen:
    """What one client saw: seconds to the first byte of the body and to the end."""

    url: str
    status: int = 0
    first: float = 0.0
    last: float = 0.0
    size: int = 0
    promised: int = -1
    right: bool = False

    @property
    def whole(self) -> bool:
        return self.status == 200 and self.size == self.promised


def crowd(urls: Sequence[str], count: int, body: bytes) -> list[Seen]:
    """Let so many clients ask at once, one address after the other; each hashes what it gets."""
    wanted = hashlib.sha256(body).digest()

    async def together() -> list[Seen]:
        jobs = (_client(urls[number % len(urls)], wanted) for number in range(count))
        return list(await asyncio.gather(*jobs))

    return asyncio.run(together())


async def _client(url: str, wanted: bytes) -> Seen:
    parts, seen = urlsplit(url), Seen(url)
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 18)
        request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        seen.status = int(head[0].split()[1])
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        seen.promised = int(fields.get("content-length", "-1"))
        digest = hashlib.sha256()
        while chunk := await reader.read(1 << 18):
            seen.first = seen.first or time.monotonic() - began
            seen.size += len(chunk)
            digest.update(chunk)
        seen.right = digest.digest() == wanted
        writer.close()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    seen.last = time.monotonic() - began
    return seen


def get(url: str) -> object:
    """Return what a small JSON page says."""
    with _opener().open(url) as answer:
        found: object = json.load(answer)
        return found


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
