"""Debian's nginx with the servers that a text describes, as one user, in a folder of its own.

with nginx(folder, "server { listen 127.0.0.1:PORT; ... }") as url:   # PORT is put in

``example`` is that text out of a file for users, with this test's places put in.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mirror"


@contextmanager
def nginx(folder: Path, servers: str, *, tls: bool = False) -> Iterator[str]:
    """Run it until the end; the address is that of PORT."""
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    places = " ".join(f"{kind}_temp_path '{folder}/{kind}';" for kind in _TEMPORARY)
    user = "user root;" if os.getuid() == 0 else ""
    config, log = folder / "nginx.conf", folder / "nginx.log"
    config.write_text(
        f"daemon off; {user} worker_processes 2; pid '{folder}/nginx.pid'; error_log '{log}';"
        f"events {{ worker_connections 1024; }}"
        f"http {{ access_log off; {places}\n{servers.replace('PORT', str(port))}\n}}"
    )
    with subprocess.Popen(["nginx", "-e", str(log), "-c", str(config)]) as child:
        try:
            _listens(child, port, log)
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            child.terminate()


def example(name: str, changes: Mapping[str, str]) -> str:
    """Return an example's text, each of its own places replaced; each must be in it."""
    text = (EXAMPLES / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} says nothing of {old}"
        text = text.replace(old, new)
    return text


def _listens(child: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nginx does not start: {log.read_text() if log.exists() else ''}")
