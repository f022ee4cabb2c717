"""mitmproxy on loopback: a proxy that opens TLS, with an authority of its own.

    with mitmproxy({("far.test", 443): ("127.0.0.1", port)}, authority.ca) as proxy:
        proxy.url, proxy.ca    # the file that a user would name

It lives in a venv of its own below this one, made once: its packages must not be those
that the product is tested with.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.peers.proxies import Proxy, a_folder, free_port, started

# The last one for Python 3.11 is 11.0.2; pip takes a later one where it can.
REQUIREMENT = "mitmproxy>=11.0.2,<13"
_HOME = Path(sys.prefix) / "peers" / "mitmproxy"
Address = tuple[str, int]
# Hosts that no name server knows are led to where they are.
_ADDON = """\
import json, os

TABLE = {(host, port): tuple(to) for host, port, to in json.loads(os.environ["TABLE"])}


def server_connect(data):
    data.server.address = TABLE.get(tuple(data.server.address), data.server.address)
"""


@dataclass(frozen=True)
class Interceptor(Proxy):
    """``ca`` is its authority's certificate."""

    ca: Path = Path()


@contextmanager
def mitmproxy(names: Mapping[Address, Address], trusted: Path | None) -> Iterator[Interceptor]:
    """Start mitmproxy; ``names`` leads hosts to addresses, ``trusted`` is for TLS to them."""
    with a_folder() as folder:
        port = free_port()
        addon = folder / "names.py"
        addon.write_text(_ADDON, encoding="utf-8")
        command = [
            str(_program()),
            "--listen-host=127.0.0.1",
            f"--listen-port={port}",
            f"--scripts={addon}",
            f"--set=confdir={folder / 'conf'}",
            "--set=flow_detail=1",
        ]
        if trusted is not None:
            command.append(f"--set=ssl_verify_upstream_trusted_ca={trusted}")
        table = [[*host, address] for host, address in names.items()]
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "TABLE": json.dumps(table),
        }
        with started(command, port, folder / "output", environ=environ, cwd=folder) as pid:
            ca = folder / "conf" / "mitmproxy-ca-cert.pem"
            yield Interceptor(port, folder / "output", pid, ca=ca)


def _program() -> Path:
    program = _HOME / "bin" / "mitmdump"
    _HOME.parent.mkdir(exist_ok=True)
    with FileLock(_HOME.with_suffix(".lock")):
        if not program.is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_HOME)], check=True)
            pip = [str(_HOME / "bin" / "python"), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, REQUIREMENT], check=True, stdin=subprocess.DEVNULL)
    return program
