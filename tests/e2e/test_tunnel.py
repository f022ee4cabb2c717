"""`tunnel` through a proxy that wants a login: many at once, half closed, in a namespace."""

import asyncio
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.network.tunnel import raise_limit
from tests.e2e import hashless
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import corporate
from tests.peers.tunnelling import Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

HOST = "far.example"
BIG = os.urandom(1 << 20)
MANY = 1000


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raise_limit() < MANY * 6 + 500:
        pytest.skip("too few files may be open here for the ends of so many connections")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def far_host() -> Iterator[int]:
    """A host that greets, then sends 1 MiB once what it was told has ended; its port."""
    ready = threading.Event()
    over: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"hello\n")
            question = await reader.read()
            await asyncio.sleep(0.3)
            writer.write(question + BIG)
            await writer.drain()
            writer.close()
        except ConnectionError:
            writer.transport.abort()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=2000)
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        over.append(lambda: loop.call_soon_threadsafe(end.set))
        over.append(server.sockets[0].getsockname()[1])
        ready.set()
        await end.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield int(over[1])
    finally:
        over[0]()
        thread.join(10)


@contextmanager
def tunnel(
    machine: Machine, proxy: Proxy, *more: str, login: str = ""
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A running tunnel to HOST and its port."""
    url = proxy.url.replace("://", f"://{login}@") if login else proxy.url
    with subprocess.Popen(
        [PROGRAM, "tunnel", "--listen", "127.0.0.1:0", "--target", f"{HOST}:443", *more],
        env={**machine.env, "HTTPS_PROXY": url, "NO_PROXY": ""},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stderr
            line = child.stderr.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) leads to", line)
            assert found, line
            assert "secret" not in line
            yield child, int(found[1])
        finally:
            child.kill()


def end(child: "subprocess.Popen[str]") -> list[str]:
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.stderr
    lines = child.stderr.read().splitlines()
    assert child.wait(10) == 143
    assert time.monotonic() - began < 3
    return lines


def memory(pid: int) -> int:
    """The resident memory of a process in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def test_a_thousand_at_once_half_closed_with_none_lost_and_memory_flat(machine: Machine) -> None:
    async def one(port: int, number: int, all_there: asyncio.Barrier) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readline() == b"hello\n"
        question = b"%08d" % number
        writer.write(question)
        await all_there.wait()
        writer.write_eof()
        assert await reader.readexactly(8) == question
        size = 8
        while data := await reader.read(1 << 16):
            size += len(data)
        writer.close()
        return size

    async def all_of_them(port: int, pid: int) -> tuple[list[int], int]:
        most = 0

        def full() -> None:
            nonlocal most
            most = memory(pid)

        class Full(asyncio.Barrier):
            async def wait(self) -> int:
                place = await super().wait()
                if place == 0:
                    full()
                return place

        there = Full(MANY)
        # In portions, as the proxy has to look at each; then all are open together.
        ones = [asyncio.create_task(one(port, number, there)) for number in range(MANY)]
        return await asyncio.gather(*ones), most

    with (
        far_host() as far,
        Proxy({(HOST, 443): ("127.0.0.1", far)}, "me:secret") as proxy,
        tunnel(machine, proxy, login="me:secret") as (child, port),
    ):
        before = memory(child.pid)
        sizes, most = asyncio.run(all_of_them(port, child.pid))
        assert sizes == [len(BIG) + 8] * MANY
        after = memory(child.pid)
        lines = end(child)
    assert len(proxy.asked) == MANY
    assert f"{MANY} connections ({MANY} at once)" in lines[-1], lines
    assert lines[-1].endswith("0 refused, 0 failed")
    assert "secret" not in "".join(lines)
    assert most - before < 60, (before, most, after)
    assert after - before < 80, (before, most, after)


def test_a_proxy_that_does_not_know_the_host_is_told_once(machine: Machine) -> None:
    with Proxy({}) as proxy, tunnel(machine, proxy, "--metrics") as (child, port):
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port)) as sock,
                pytest.raises(ConnectionResetError),
            ):
                sock.recv(1)
        lines = end(child)
    assert len([line for line in lines if "502" in line]) == 1, lines
    assert json.loads(lines[-1])["tunnel"]["failed"] == 2


@pytest.mark.timeout(300)
def test_a_workerd_without_a_hash_gets_its_bundle_by_itself(
    machine: Machine, counting_network: None, tmp_path: Path
) -> None:
    """wrangler 4.86.0 in a scene without DNS, its workerd's own download through the tunnel."""
    seen = hashless.start(machine, tmp_path, "tunnel", "--hosts")
    assert f"127.0.0.1\t{hashless.ORIGIN}\t# pyodide-offline tunnel pid=" in seen.hosts_meanwhile
    assert seen.hosts_after.encode() == corporate.HOSTS
    assert "it is written in place" in seen.output
