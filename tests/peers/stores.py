"""Real stores for a mirror, on loopback: SeaweedFS (from PyPI) and docker-registry (Debian's).

with seaweedfs(tmp_path) as store:
    store.url("bucket"), store.environ      # what a front is given
    store.kill(); store.start()             # as often as you like, on the same data

Each runs in the foreground on free ports, with its data in a folder of the test's, and is
ended by its process.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_KEYS = {"AWS_ACCESS_KEY_ID": "mirror", "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anyone"}
_PATH = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/usr/local/bin"


@dataclass
class Server:
    """A program that can be killed and started again on the same data and port."""

    command: list[str]
    folder: Path
    port: int
    ready: str
    environ: Mapping[str, str] = field(default_factory=dict)  # of its clients
    given: Mapping[str, str] = field(default_factory=dict)  # to itself
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        """Where its files lie."""
        return self.folder / "data"

    def launch(self) -> None:
        """Start it, and do not wait."""
        program = shutil.which(self.command[0], path=_PATH)
        if program is None:
            pytest.fail(f"{self.command[0]} is not installed")
        # docker-registry panics where AWS_CA_BUNDLE is set; no proxy is to be asked.
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [program, *self.command[1:]],
                cwd=self.folder,
                env={**kept, "HOME": str(self.folder), **self.given},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self, seconds: float = 60) -> None:
        """Start it, and wait until it answers."""
        self.launch()
        self.wait(seconds)

    def wait(self, seconds: float = 60) -> None:
        """Wait until it answers a request, whatever it says to it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.child and self.child.poll() is None:
            if self.answers():
                return
            time.sleep(0.05)
        log = (self.folder / "log").read_text(errors="replace")[-4000:]
        pytest.fail(f"{self.command[0]} does not answer:\n{log}")

    def answers(self) -> bool:
        """Say whether it answers a request, with anything but its own failure."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{self.ready}", timeout=2):
                return True
        except urllib.error.HTTPError as error:
            with error:
                return error.code < 500
        except OSError:
            return False

    def kill(self) -> None:
        """End it with SIGKILL, as a lost machine ends."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it well."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.child is None:
            return
        self.child.send_signal(how)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child = None


class Seaweed(Server):
    """A SeaweedFS: its master, volume server, filer and S3 in one process."""

    def url(self, bucket: str = "mirror", prefix: str = "") -> str:
        """Return the URL for ``--store``."""
        return f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{self.port}"


class DockerRegistry(Server):
    """A docker-registry over a folder."""

    def url(self, repository: str = "mirror") -> str:
        """Return the URL for ``--store``."""
        return f"oci://127.0.0.1:{self.port}/{repository}"


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Seaweed]:
    """Run a SeaweedFS with one account, and make the bucket ``mirror``."""
    (folder / "data").mkdir(parents=True)
    account = {"accessKey": _KEYS["AWS_ACCESS_KEY_ID"], "secretKey": _KEYS["AWS_SECRET_ACCESS_KEY"]}
    config = folder / "s3.json"
    identity = {
        "name": "mirror",
        "credentials": [account],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config.write_text(json.dumps({"identities": [identity]}))
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in _BOTH]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [
        "weed",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    server = Seaweed(command, folder, ports["s3.port"], "/", environ=_KEYS)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def docker_registry(folder: Path) -> Iterator[DockerRegistry]:
    """Run a docker-registry without a login."""
    (folder / "data").mkdir(parents=True)
    (port,) = _free_ports(1)
    config = folder / "config.yml"
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "error"},
                "storage": {
                    "cache": {"blobdescriptor": "inmemory"},  # as Debian has it
                    "filesystem": {"rootdirectory": str(folder / "data")},
                },
                "http": {"addr": f"127.0.0.1:{port}"},
            }
        )
    )
    server = DockerRegistry(["docker-registry", "serve", str(config)], folder, port, "/v2/")
    try:
        server.start()
        yield server
    finally:
        server.kill()


_BOTH = ("", ".grpc")


def _free_ports(count: int) -> list[int]:
    """Return ports that are all free at once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
