"""A mirror under load, whose fronts and store are killed at random moments.

Two fronts over one SeaweedFS; clients that fetch packages, new ones and known ones, from
either. What is counted: bodies that came whole and were wrong (never), what was told to be
in the store and is not afterwards (nothing), and how long it took to serve again.
"""

import asyncio
import hashlib
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.account import account
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.objects import ObjectDepot
from tests.peers.registry import Registry
from tests.peers.stores import Seaweed, Server, seaweedfs

SIZE = 150_000
_CAUSES: dict[type[httpx.HTTPError], str] = {
    httpx.ConnectError: "not listening",
    httpx.RemoteProtocolError: "broken off",
    httpx.ReadError: "broken off",
    httpx.ReadTimeout: "silent for 30 s",
}
CLIENTS = 4


@dataclass
class Counts:
    """What happened, over all clients."""

    whole: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # by cause
    wrong: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    recovered: list[float] = field(default_factory=list)


class Chaos:
    """The fleet and its clients; ``kill_front`` and ``kill_store`` as often as you like."""

    def __init__(self, folder: Path, store: Seaweed, registry: Registry, seed: int) -> None:
        self.store = store
        self.counts = Counts()
        self._registry = registry
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._lock = threading.Lock()
        self._known: list[str] = []
        self._digests: dict[str, str] = {}
        self._done = threading.Event()
        self.fronts = [self._front(folder / f"front {number}") for number in range(2)]
        self._threads = [
            *(threading.Thread(target=self._client, args=(seed + n,)) for n in range(CLIENTS)),
            threading.Thread(target=lambda: asyncio.run(self._write())),
        ]

    def start(self) -> None:
        """Start the fronts, then the clients."""
        for front in self.fronts:
            front.start()
        for thread in self._threads:
            thread.start()

    def settle(self) -> None:
        """End the clients."""
        self._done.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)

    def end(self) -> None:
        """End the clients, then the fronts."""
        self.settle()
        for front in self.fronts:
            front.kill()

    def strike(self, *, store: bool) -> None:
        """Kill one at a random moment, start it again, and wait until it serves something new."""
        time.sleep(self._chance.uniform(0, 1))
        victim: Server = self.store if store else self._chance.choice(self.fronts)
        victim.kill()
        began = time.monotonic()
        victim.start(90)
        for front in self.fronts if store else [victim]:
            self._until_served(front)
        self.counts.recovered.append(time.monotonic() - began)

    def missing(self) -> list[str]:
        """Return what was told to be written and is not there, and what has another digest."""
        self.settle()
        return asyncio.run(self._missing())

    def _front(self, folder: Path) -> Server:
        folder.mkdir()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        command = [
            "pyodide-offline",
            "mirror",
            "serve",
            f"--listen=127.0.0.1:{port}",
            f"--store={self.store.url(prefix='chaos')}",
            f"--cache={folder / 'cache'}",
            f"--signing-key={folder.parent / 'signing.key'}",
            f"--upstream=npm={self._registry.url}",
            "--allow-host=127.0.0.1",
        ]
        return Server(command, folder, port, "/healthz", given=self.store.environ)

    def _new(self) -> str:
        with self._lock:
            name = f"p{len(self._digests)}"
            content = os.urandom(SIZE)
            made = self._registry.add(name, "1.0.0", files={"package/x": content})
            self._digests[name] = hashlib.sha256(made).hexdigest()
            return name

    def _client(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._done.is_set():
                new = chance.random() < 0.2 or not self._known
                name = self._new() if new else chance.choice(self._known)
                if self._fetched(client, chance.choice(self.fronts), name) and new:
                    self._known.append(name)

    def _fetched(self, client: httpx.Client, front: Server, name: str) -> bool:
        url = f"http://127.0.0.1:{front.port}/npm/{name}/-/{name}-1.0.0.tgz"
        try:
            answer = client.get(url)
        except httpx.HTTPError as error:
            return self._failed(_CAUSES.get(type(error), type(error).__name__))
        if answer.status_code != 200:
            return self._failed(_told(answer))
        if hashlib.sha256(answer.content).hexdigest() != self._digests[name]:
            self.counts.wrong.append(name)
        self.counts.whole += 1
        return True

    def _failed(self, cause: str) -> bool:
        with self._lock:
            self.counts.failed[cause] += 1
        self._done.wait(0.05)
        return False

    def _until_served(self, front: Server) -> None:
        deadline = time.monotonic() + 60
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._fetched(client, front, self._new()):
                if time.monotonic() > deadline:
                    raise AssertionError(f"not serving again: {(front.folder / 'log').read_text()}")

    async def _write(self) -> None:
        """Write straight into the store, as a front does, and note what it said yes to."""
        depot = _depot(self.store)
        while not self._done.is_set():
            data = os.urandom(SIZE)
            digest = hashlib.sha256(data).hexdigest()
            key = names.blob_key("sha256", digest)
            with suppress(DepotDownError):
                if await depot.create(key, data):
                    self.counts.written[key] = digest
                key = names.ref_key("chaos", digest)
                if await depot.swap(key, data[:50], None):
                    self.counts.written[key] = hashlib.sha256(data[:50]).hexdigest()
            await asyncio.sleep(0.2)

    async def _missing(self) -> list[str]:
        depot, found = _depot(self.store), []
        for key, digest in self.counts.written.items():
            try:
                came = hashlib.sha256(b"".join([one async for one in depot.read(key)])).hexdigest()
            except KeyError:
                came = ""
            if came != digest:
                found.append(key)
        async for entry in depot.list(names.BLOBS):
            data = b"".join([one async for one in depot.read(entry.key)])
            if not entry.key.endswith(hashlib.sha256(data).hexdigest()):
                found.append(entry.key)
        return found


def _told(answer: httpx.Response) -> str:
    """Return what a front says of a request that it refuses."""
    try:
        code = str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        code = "nothing"
    return f"{answer.status_code} {code}"


def _depot(store: Seaweed) -> Depot:
    return ObjectDepot(account(store.url(prefix="chaos"), store.environ))


@contextmanager
def chaos(folder: Path, seed: int) -> Iterator[Chaos]:
    """Run the store, an upstream, the fronts and the clients."""
    with seaweedfs(folder / "store") as store, Registry() as registry:
        fleet = Chaos(folder, store, registry, seed)
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.end()
