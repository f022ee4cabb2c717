"""`mirror prune` on real stores: what is named stays, what went comes again, fronts go on."""

import asyncio
import hashlib
import json
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pyodide_offline.errors import DepotDownError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.account import account
from pyodide_offline.features.mirror.npm import SHORT
from pyodide_offline.features.mirror.objects import ObjectDepot
from pyodide_offline.features.mirror.opening import opened
from pyodide_offline.features.mirror.pruning import Pruned, Pruning
from pyodide_offline.features.mirror.refs import Ref
from tests.e2e.conftest import PROGRAM
from tests.peers import mirrors
from tests.peers.registry import Answer, Registry, integrity
from tests.peers.stores import DockerRegistry, Seaweed, Server, docker_registry, seaweedfs

pytestmark = pytest.mark.e2e

TARBALL = bytes(range(256)) * 1500


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    folder = tmp_path_factory.mktemp("seaweed")
    with seaweedfs(folder / "store") as store:
        for left in (4, 3, 2, 1, 0):  # its first volume takes longer than a writer waits
            try:
                asyncio.run(opened(store.url(prefix="warm"), store.environ, folder))
                break
            except DepotDownError:
                if not left:
                    raise
        yield store


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "store") as store:
        yield store


@dataclass(frozen=True)
class Operator:
    """Who starts fronts over a store and prunes it, all with one key and one front's cache."""

    folder: Path
    store: Server
    url: str
    upstream: Registry
    options: tuple[str, ...] = ()

    @contextmanager
    def front(self, name: str, *options: str) -> Iterator[mirrors.Front]:
        upstreams = [f"--upstream={kind}={self.upstream.url}" for kind in ("npm", "pypi")]
        keys = [f"--signing-key={self.folder / 'key'}", "--rate=0", "--fresh=0"]
        words = [f"--store={self.url}", *self.options, *keys, *upstreams, *options]
        with mirrors.front(self.folder / name, self._environ(), *words) as running:
            yield running

    def call(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PROGRAM, "mirror", command, f"--store={self.url}", *self.options,
             f"--signing-key={self.folder / 'key'}", f"--cache={self.folder / 'one' / 'cache'}",
             *words],
            env=self._environ(), stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            timeout=120, check=False,
        )  # fmt: skip

    def prune(self, *words: str) -> Pruned:
        done = self.call("prune", "--days=0", "--json", *words)
        assert done.returncode == 0, done.stderr
        return Pruned(**json.loads(done.stdout))

    def _environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYODIDE_OFFLINE_")}
        return {**kept, **self.store.environ, "HOME": str(self.folder)}


@pytest.fixture(params=["seaweedfs", "docker-registry"])
def operator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operator]:
    with Registry() as upstream:
        if request.param == "seaweedfs":
            store: Server = request.getfixturevalue("seaweed")
            yield Operator(tmp_path, store, f"{store.url(prefix='prune')}", upstream)  # type: ignore[attr-defined]
        else:
            store = request.getfixturevalue("registry")
            yield Operator(tmp_path, store, store.url("prune"), upstream, ("--single-front",))  # type: ignore[attr-defined]


def _packument(name: str, *versions: str, tarball: bytes = TARBALL) -> bytes:
    dists = {
        one: {"tarball": f"http://127.0.0.1:1/{name}/-/{name}-{one}.tgz",
              "integrity": integrity(tarball)}
        for one in versions
    }  # fmt: skip
    described = {one: {"name": name, "version": one, "dist": dist} for one, dist in dists.items()}
    return json.dumps({"name": name, "versions": described}).encode()


def _got(front: mirrors.Front, path: str, accept: str = "*/*") -> tuple[int, bytes]:
    headers = {"Accept": accept}
    answer = httpx.get(f"{front.url}{path}", headers=headers, trust_env=False, timeout=60)
    return answer.status_code, answer.content


def test_what_is_named_stays_and_what_went_comes_again(operator: Operator) -> None:
    old, new = _packument("a", "1.0.0"), _packument("a", "1.0.0", "2.0.0")
    told = {body: f"/sha256/{hashlib.sha256(body).hexdigest()}" for body in (old, new)}
    upstream = operator.upstream
    upstream.add("a", "1.0.0", tarball=TARBALL)
    upstream.script("/a", Answer(200, old))
    with operator.front("one") as front:
        assert _got(front, "/npm/a")[0] == 200
        assert _got(front, "/npm/a/-/a-1.0.0.tgz") == (200, TARBALL)
        upstream.script("/a", Answer(200, new))
        for form in ("*/*", SHORT):  # two names of one content
            assert operator.prune("--dry-run").contents == 0
            assert _got(front, "/npm/a", form)[0] == 200
        assert operator.prune().contents == 0
        assert operator.prune("--dry-run").contents == 1
        done = operator.prune()
        assert (done.contents, done.size) == (1, len(old))
        assert done.leftovers > 0
        assert operator.prune().contents == 0
        assert _got(front, "/npm/a/-/a-1.0.0.tgz") == (200, TARBALL)
    if isinstance(operator.store, DockerRegistry):
        _collected(operator.store, went=old, kept=[new, TARBALL])
    with operator.front("two", "--offline") as front:  # whose own disk has nothing
        assert _got(front, "/npm/a/-/a-1.0.0.tgz") == (200, TARBALL)
        assert _got(front, told[new]) == (200, new)
        assert _got(front, told[old])[0] == 404
    upstream.script("/a", Answer(200, old))
    with operator.front("three") as front:
        assert b"2.0.0" not in _got(front, "/npm/a")[1]
        assert operator.call("audit").returncode == 0
    with operator.front("four", "--offline") as front:
        assert _got(front, told[old]) == (200, old)
    assert upstream.paths().count("/a/-/a-1.0.0.tgz") == 1


def _collected(store: DockerRegistry, *, went: bytes, kept: list[bytes]) -> None:
    """Have a registry that runs, and allows no deletion, collect its garbage."""
    names_of = {path.parent.name: path for path in store.data.rglob("blobs/sha256/*/*/data")}
    refused = httpx.delete(
        f"http://127.0.0.1:{store.port}/v2/prune/blobs/sha256:{hashlib.sha256(went).hexdigest()}",
        trust_env=False,
    )
    assert refused.status_code == 405
    assert names_of[hashlib.sha256(went).hexdigest()].read_bytes() == went
    config = str(store.folder / "config.yml")
    subprocess.run(
        [store.command[0], "garbage-collect", "--delete-untagged", config],
        cwd=store.folder, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert not names_of[hashlib.sha256(went).hexdigest()].exists()
    for body in kept:
        assert names_of[hashlib.sha256(body).hexdigest()].read_bytes() == body


def test_two_fronts_under_load_lose_nothing_while_a_store_is_pruned_again_and_again(
    seaweed: Seaweed, tmp_path: Path
) -> None:
    with Registry() as upstream:
        operator = Operator(tmp_path, seaweed, seaweed.url(prefix="load"), upstream)
        with operator.front("one") as one, operator.front("two") as two:
            asyncio.run(_many_names(operator, 300))
            load = _Load(operator, [one, two])
            with load.going_on():
                pruned = asyncio.run(_pruned_often(operator, 12.0))
            assert load.lost == []
            assert load.wrong == []
            assert load.failed == []
            assert load.right > 30
            assert sum(run.contents for run in pruned) > 3
            # What is being published when its clients have their answers takes a moment more.
            deadline = time.monotonic() + 20
            while (done := operator.call("audit")).returncode and time.monotonic() < deadline:
                time.sleep(0.5)
            assert done.returncode == 0, done.stdout
            for name, body in load.files.items():
                assert _got(two, f"/npm/{name}/-/{name}-1.0.0.tgz") == (200, body)


async def _many_names(operator: Operator, count: int) -> None:
    """Have a run read names for a while, so that much happens meanwhile."""
    depot = await opened(operator.url, operator.store.environ, operator.folder / "filling")
    digest = hashlib.sha256(b"many").hexdigest()
    await depot.create(names.blob_key("sha256", digest), b"many")
    made = [Ref("npm", f"many/{number}", digest, 4, "text/plain", 1) for number in range(count)]
    for some in range(0, count, 50):
        await asyncio.gather(
            *(
                depot.create(names.ref_key(ref.kind, ref.name), ref.encode())
                for ref in made[some : some + 50]
            )
        )


async def _pruned_often(operator: Operator, seconds: float) -> list[Pruned]:
    depot = await opened(operator.url, operator.store.environ, operator.folder / "pruning")
    runs, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        runs.append(await Pruning(depot, age=0).run())
    return runs


class _Load:
    """Clients of both fronts: indexes that change to and fro, and packages that are new."""

    def __init__(self, operator: Operator, fronts: list[mirrors.Front]) -> None:
        self.lost: list[str] = []
        self.files: dict[str, bytes] = {}
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self.right = 0
        self._operator = operator
        self._upstream = operator.upstream
        self._fronts = fronts
        self._done = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join(60)

    def _ask(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - no secret
        name = f"flips{number}"
        forms = [_packument(name, "1.0.0"), _packument(name, "1.0.0", "2.0.0")]
        count = 0
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not self._done.is_set():
                count += 1
                self._upstream.script(f"/{name}", Answer(200, forms[count % 2]))
                for front in chance.sample(self._fronts, 2):
                    answer = client.get(f"{front.url}/npm/{name}")
                    right = answer.status_code != 200 or sorted(answer.json()["versions"]) == (
                        ["1.0.0", "2.0.0"] if count % 2 else ["1.0.0"]
                    )
                    self._count(answer, name, right=right)
                asyncio.run(self._look(name, forms[count % 2]))
                self._new(client, chance.choice(self._fronts), f"new{number}-{count}")

    def _new(self, client: httpx.Client, front: mirrors.Front, name: str) -> None:
        body = self._upstream.add(name, "1.0.0", tarball=os.urandom(20_000))
        answer = client.get(f"{front.url}/npm/{name}/-/{name}-1.0.0.tgz")
        self._count(answer, name, right=answer.content == body)
        if answer.status_code == 200:
            self.files[name] = body

    async def _look(self, name: str, body: bytes) -> None:
        """See that the store holds what both fronts gave out: nobody changes it just now."""
        depot = ObjectDepot(account(self._operator.url, self._operator.store.environ))
        key = names.blob_key("sha256", hashlib.sha256(body).hexdigest())
        if await depot.head(key) is None:
            self.lost.append(name)

    def _count(self, answer: httpx.Response, name: str, *, right: bool) -> None:
        if answer.status_code != 200:
            self.failed.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif not right:
            self.wrong.append(name)
        else:
            self.right += 1


@pytest.mark.parametrize("kind", ["s3", "oci"])
def test_a_store_that_is_down_is_told_in_three_lines(kind: str, tmp_path: Path) -> None:
    """By many at once: a busy machine had a process abort after it had told all."""
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        there = f"127.0.0.1:{nobody.getsockname()[1]}"
        url = f"s3://mirror/x?endpoint=http://{there}" if kind == "s3" else f"oci://{there}/x"
        children = [
            subprocess.Popen(
                [PROGRAM, "mirror", "prune", f"--store={url}", "--single-front",
                 f"--cache={tmp_path / str(number)}", f"--signing-key={tmp_path / 'key'}"],
                env={**os.environ, "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE, encoding="utf-8",
            )
            for number in range(8 if kind == "s3" else 1)
        ]  # fmt: skip
        told = [(child.communicate(timeout=60)[1], child.returncode) for child in children]
    for said, status in told:
        assert status == 14, said
        assert "cannot be used" in said
        assert len(said.splitlines()) <= 3
