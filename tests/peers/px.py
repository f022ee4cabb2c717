"""px-proxy on loopback: the proxy at hand that asks for NTLM.

It lives in a venv of its own below this one, made once: its packages must not be those
that the product is tested with.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock

from tests.peers.proxies import PASSWORD, USER, Proxy, a_folder, free_port, started

VERSION = "0.13.0"
# pip would make it anew for another version.
_HOME = Path(sys.prefix) / "peers" / f"px-{VERSION}"
Scheme = Literal["NTLM", "DIGEST", "BASIC"]


@contextmanager
def px(*schemes: Scheme) -> Iterator[Proxy]:
    """Start px; it asks for a login by one of these schemes, and knows USER."""
    with a_folder() as folder:
        port = free_port()
        command = [
            str(_program()),
            f"--port={port}",
            "--listen=127.0.0.1",
            "--noproxy=127.0.0.1",  # the target is connected to, there is no other proxy
            f"--client-auth={','.join(schemes)}",
            f"--client-username={USER}",
            "--log=4",
        ]
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "PX_CLIENT_PASSWORD": PASSWORD,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        with started(command, port, folder / "output", environ=environ, cwd=folder) as pid:
            yield Proxy(port, folder / "output", pid)


def _program() -> Path:
    program = _HOME / "bin" / "px"
    _HOME.parent.mkdir(exist_ok=True)
    with FileLock(_HOME.with_suffix(".lock")):
        if not program.is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_HOME)], check=True)
            pip = [str(_HOME / "bin" / "python"), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, f"px-proxy=={VERSION}"], check=True, stdin=subprocess.DEVNULL)
    return program
